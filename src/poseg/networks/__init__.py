"""Networks: backbones, necks and heads. torch lives here."""
