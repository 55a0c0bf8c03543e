"""Networks: necks."""
