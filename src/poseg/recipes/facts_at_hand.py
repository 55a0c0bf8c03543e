"""What a model's card says of the training data at hand (`data_at_hand`) and of who labelled it."""

from __future__ import annotations

LABELLED = (
    {
        "name": "people_unlabelled",
        "pictures": 2885,
        "use": "keypoints and masks made by networks (see the notes)",
        "terms": "Flickr8k, INRIA, BSDS and COCO photographs; research use, not shipped",
    },
    {
        "name": "coco_person_masks train",
        "pictures": 91,
        "use": "COCO instance masks; keypoints made by networks",
        "terms": "annotations CC BY 4.0; Flickr photographs under mixed Creative Commons licences",
    },
    {
        "name": "clothing_coparsing 0001-0900",
        "pictures": 899,
        "use": "person masks; keypoints made by networks",
        "terms": "labels Apache-2.0; photographs for research use",
    },
    {"name": "lsp 0001-1000", "pictures": 1000, "use": "12 of 14 joints", "terms": "research use"},
    {"name": "lspet", "pictures": 10000, "use": "12 of 14 joints", "terms": "research use"},
    {"name": "backgrounds_inria", "pictures": 204, "use": "person-free pictures", "terms": "research use"},
)
BODYPIX = {"name": "BodyPix MobileNetV1 0.75", "use": "weights at the start", "terms": "Apache-2.0"}
MOVENET = {"name": "MoveNet MultiPose Lightning", "use": "weights of the trunk at the start", "terms": "Apache-2.0"}
DATA = (*LABELLED, BODYPIX)
MASK_DATA = tuple(
    {**entry, "use": use}
    for entry in DATA
    for name, use in (
        ("people_unlabelled", "masks and keypoints made by networks (see the notes)"),
        ("coco_person_masks train", "COCO instance masks; keypoints made by networks"),
        ("clothing_coparsing 0001-0900", "person masks; keypoints made by networks"),
        ("BodyPix MobileNetV1 0.75", "weights of the backbone at the start, through our `small`"),
    )
    if entry["name"] == name
)
PAINTER_DATA = tuple(entry for entry in MASK_DATA if entry["name"] != BODYPIX["name"])
SPORTS_DATA = tuple(
    {**entry, "use": "14 joints"} if entry["name"].startswith("lsp") else entry
    for entry in DATA
    if entry["name"] in ("lsp 0001-1000", "lspet", "backgrounds_inria")
)
MOCAP_DATA = (
    {
        "name": "CMU motion capture (mocap.cs.cmu.edu)",
        "pictures": 0,
        "use": "poses in space",
        "terms": "free for research and commercial use; created with funding from NSF EIA-0196217",
    },
)
SPORTS_NOTES = (
    "The trunk and the merged features started from those of our `poseg`, whose trunk is that of `small`, which had "
    "started from Google's BodyPix MobileNetV1 0.75 (Apache-2.0); all was trained further here.",
    "A crop is the box of somebody's body with a margin; joints are person-centric, one person a crop.",
)
NON_COMMERCIAL_MOCAP_DATA = (
    *MOCAP_DATA,
    {
        "name": "Bandai Namco Research motion data",
        "pictures": 0,
        "use": "poses in space",
        "terms": "CC BY-NC 4.0",
    },
)
MASK_NOTES = (
    "The backbone started from that of our `small`, which had started from Google's BodyPix MobileNetV1 0.75 "
    "(Apache-2.0), and was trained further here with all the rest.",
    "Labels of networks: MoveNet MultiPose and Thunder, BlazePose heavy, BodyPix (Google, Apache-2.0).",
    "Poses were moved and lost joints in training, and people were laid over people.",
)
PAINTER_NOTES = (
    "It learned from the people that our `small` finds in its own training pictures, and from their masks there.",
    "Labels of networks: MoveNet MultiPose and Thunder, BlazePose heavy, BodyPix (Google, Apache-2.0).",
)
_LABELLERS = (
    "Labels of networks: MoveNet MultiPose and Thunder, BlazePose heavy, BodyPix (Google, Apache-2.0), revised by "
    "`poseg label` with MoveNet MultiPose and BodyPix; dense lessons by BodyPix at 801 px."
)
NOTES = (
    "Backbone and linear heads started from Google's BodyPix MobileNetV1 0.75 (Apache-2.0) and were trained further "
    "here with all the rest: a feature pyramid with context and heads that correct person map and long offsets.",
    _LABELLERS,
)
MOVENET_NOTES = (
    "The trunk, with its own small pyramid, started from Google's MoveNet MultiPose Lightning (Apache-2.0) and was "
    "trained further here with all the rest: a feature pyramid with context, and heads.",
    _LABELLERS,
)
POSEG_NOTES = (
    "The trunk is that of our `small`, which had started from Google's BodyPix MobileNetV1 0.75 (Apache-2.0).",
    "Labels of networks: MoveNet MultiPose and Thunder, BlazePose heavy, BodyPix (Google, Apache-2.0), revised by "
    "`poseg label` with MoveNet MultiPose and BodyPix; where labels are not complete BodyPix says what may be people.",
)
LICENCES = {"code": "Apache-2.0", "weights": "Apache-2.0"}
