"""Labels made by networks: teachers look at pictures, what they agree on is written as COCO annotations."""

from poseg.labelling.label import Labelling, Outcome, label
from poseg.labelling.looking import Assignment, Looking
from poseg.labelling.records import Cuts
from poseg.labelling.teachers import ModelTeacher, Outliner, Teacher, find_teacher

__all__ = [
    "Assignment",
    "Cuts",
    "Labelling",
    "Looking",
    "ModelTeacher",
    "Outcome",
    "Outliner",
    "Teacher",
    "find_teacher",
    "label",
]
