"""What a model's card says of the training data at hand (`data_at_hand`) and of who labelled it."""

from __future__ import annotations

DATA = (
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
    {"name": "BodyPix MobileNetV1 0.75", "use": "weights at the start", "terms": "Apache-2.0"},
)
TEACHERS = (
    "Keypoint labels of networks: MoveNet MultiPose and Thunder (Google, Apache-2.0); "
    "masks: BlazePose heavy and BodyPix (Google, Apache-2.0).",
    "Dense teacher: BodyPix MobileNetV1 0.75 (Google, Apache-2.0) at 801 px: person map, long offsets, doubt about "
    "heatmap negatives.",
)
LICENCES = {"code": "Apache-2.0", "weights": "Apache-2.0"}
