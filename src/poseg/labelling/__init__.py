"""Pseudo-labels: an ensemble of teachers predicts people, its consensus is written as COCO annotations. Torch free."""

from poseg.labelling.ensemble import EnsembleConfig, TeacherConfig, ensemble_image
from poseg.labelling.label import LabelingJob, LabelingSummary, label
from poseg.labelling.records import LabelThresholds
from poseg.labelling.teachers import ModelTeacher, Segmenter, Teacher, load_teacher

__all__ = [
    "EnsembleConfig",
    "LabelThresholds",
    "LabelingJob",
    "LabelingSummary",
    "ModelTeacher",
    "Segmenter",
    "Teacher",
    "TeacherConfig",
    "ensemble_image",
    "label",
    "load_teacher",
]
