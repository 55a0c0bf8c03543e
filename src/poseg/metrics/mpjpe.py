"""Errors of 3D poses in mm: MPJPE, PA-MPJPE, N-MPJPE, MPJVE, and the fraction of joints within 150 mm (3DPCK).

Numbers with different joints, roots or alignments cannot be compared, so each score states its own:

MPJPE     poses aligned at the root, neither rotated nor scaled (Ionescu et al., "Human3.6M", PAMI 2014)
N-MPJPE   aligned at the root, then scaled by one factor per pose (Rhodin et al., "Unsupervised Geometry-Aware
          Representation for 3D Human Pose Estimation", ECCV 2018)
PA-MPJPE  moved, rotated and scaled by the best similarity of each pose (Procrustes alignment; Umeyama, PAMI 1991)
3DPCK     fraction of joints within 150 mm, aligned at the root; AUC over 0 to 150 mm by 5 (Mehta et al., 3DV 2017)
MPJVE     MPJPE of the differences between consecutive frames (Pavllo et al., CVPR 2019), in mm per frame

`pairs` are frames: (N, K, 3) in mm. A distance in mm needs two points, so joints that were not detected are left out
of means and counted in the protocol; for 3DPCK they are wrong. Frames without an annotated root are left out.
"""

from __future__ import annotations

import numpy as np

from poseg.errors import AnnotationError, ShapeError
from poseg.metrics.bootstrap import ResampleCounts
from poseg.metrics.pairs import Bools, Floats, PosePairs, joint_groups, joints_in_words
from poseg.metrics.score import PerItem, Score, mean_score, threshold_score

Root = str | tuple[str, ...]

PELVIS = "pelvis"
THRESHOLDS_MM: Floats = np.arange(0, 151, 5).astype(np.float64)
MIN_JOINTS = 3  # with fewer, a similarity fits exactly

_EPS = float(np.finfo(np.float64).eps)


def mpjpe(
    pairs: PosePairs, root: Root = PELVIS, *, with_root: bool = True, draws: ResampleCounts | None = None
) -> Score:
    """Mean distance in mm, aligned at the root.

    root       joint that poses are aligned at; several names: their mean
    with_root  whether the root itself, whose error is 0, counts among the joints, as is usual with 17 joints
    draws      (B, I) resamples of clips (`PosePairs.image_index`) for intervals; no intervals without
    """
    errors = rooted_errors(pairs, root, with_root=with_root)
    return _mean(pairs, errors, "MPJPE", f"{_alignment_text(root, with_root)}, not rotated or scaled", draws)


def n_mpjpe(
    pairs: PosePairs, root: Root = PELVIS, *, with_root: bool = True, draws: ResampleCounts | None = None
) -> Score:
    """MPJPE after the best scale of each pose; arguments as in `mpjpe`."""
    errors = rooted_errors(pairs, root, with_root=with_root, scaled=True)
    return _mean(pairs, errors, "N-MPJPE", f"{_alignment_text(root, with_root)}, scaled by one factor per pose", draws)


def pa_mpjpe(pairs: PosePairs, *, draws: ResampleCounts | None = None) -> Score:
    """MPJPE after the best similarity of each pose; `draws` as in `mpjpe`."""
    errors = similarity_errors(pairs)
    degenerate = int((pairs.counted & pairs.detected & np.isnan(errors)).any(axis=1).sum())
    lost = f"; {degenerate:,} poses of fewer than {MIN_JOINTS} joints or no extent left out" if degenerate else ""
    return _mean(pairs, errors, "PA-MPJPE", f"each pose moved, rotated and scaled by its best similarity{lost}", draws)


def pck3d(
    pairs: PosePairs,
    root: Root = PELVIS,
    threshold_mm: float = 150.0,
    *,
    with_root: bool = True,
    draws: ResampleCounts | None = None,
) -> Score:
    """Fraction of joints within a distance, aligned at the root, and AUC; arguments as in `mpjpe`."""
    errors = rooted_errors(pairs, root, with_root=with_root)
    name = f"3DPCK@{threshold_mm:g}mm"
    protocol = (
        f"{name}: a joint is correct within {threshold_mm:g} mm, {_alignment_text(root, with_root)}; joints not "
        f"detected are wrong; {pairs.describe()}; mean over joints and frames; AUC over 0 to 150 mm by 5"
    )
    return threshold_score(
        _items(pairs, errors), threshold_mm, THRESHOLDS_MM, name=name, protocol=protocol, draws=draws
    )


def mpjve(
    pairs: PosePairs, root: Root = PELVIS, *, with_root: bool = True, draws: ResampleCounts | None = None
) -> Score:
    """Mean error of the joints' motion from frame to frame in mm; arguments as in `mpjpe`.

    Consecutive rows with the same `PosePairs.image_index` are consecutive frames of one clip.
    """
    predicted, truth, detected, counted = _root_aligned(pairs, root, with_root)
    usable = detected & counted
    same_clip = (np.diff(pairs.image_index) == 0)[:, None]
    distance = np.linalg.norm(np.diff(predicted, axis=0) - np.diff(truth, axis=0), axis=-1)
    errors = np.full(pairs.truth.shape[:2], np.nan)
    errors[1:] = np.where(usable[1:] & usable[:-1] & same_clip, distance, np.nan)
    how = f"error of the difference of each frame from the one before, {_alignment_text(root, with_root)}"
    return _mean(pairs, errors, "MPJVE", how, draws)


def rooted_errors(pairs: PosePairs, root: Root = PELVIS, *, with_root: bool = True, scaled: bool = False) -> Floats:
    """(N, K) distances in mm, aligned at the root; infinite if not detected, NaN if not counted.

    The mean of a row is the MPJPE of a frame; papers give its standard deviation over frames beside the mean.
    """
    predicted, truth, detected, counted = _root_aligned(pairs, root, with_root)
    if scaled:
        predicted = scale_aligned(predicted, truth, detected & counted)
    return np.where(counted, np.where(detected, np.linalg.norm(predicted - truth, axis=-1), np.inf), np.nan)


def similarity_errors(pairs: PosePairs) -> Floats:
    """(N, K) distances in mm after the best similarity; infinite if not detected, NaN in poses without one."""
    _require_3d(pairs)
    aligned, defined = similarity_aligned(pairs.predicted, pairs.truth, pairs.counted & pairs.detected)
    distance = np.where(defined[:, None], np.linalg.norm(aligned - pairs.truth, axis=-1), np.nan)
    return np.where(pairs.counted, np.where(pairs.detected, distance, np.inf), np.nan)


def similarity_aligned(predicted: Floats, truth: Floats, counted: Bools) -> tuple[Floats, Bools]:
    """Poses (N, K, D) moved, rotated (never flipped) and scaled onto ground truth, and where that is defined (N,).

        minimise  sum_k |s R x_k + t - y_k|^2  over the joints `counted` (N, K),   s >= 0,  det R = 1

    A pose with fewer than 3 joints, or whose ground truth joints coincide, cannot be aligned: its error would be 0
    whatever was predicted. Predicted joints that coincide are moved to the centre of the ground truth.
    """
    weights = counted[..., None].astype(np.float64)
    x_mean, y_mean = _means(predicted, weights), _means(truth, weights)
    x, y = (predicted - x_mean) * weights, (truth - y_mean) * weights
    u, strengths, vt = np.linalg.svd(np.swapaxes(x, 1, 2) @ y)
    signs = np.ones_like(strengths)
    signs[:, -1] = np.where(np.linalg.det(u @ vt) < 0, -1.0, 1.0)
    rotated = (predicted - x_mean) @ ((u * signs[:, None, :]) @ vt)
    variance = (x**2).sum(axis=(1, 2))
    usable = _non_degenerate(x, predicted * weights)
    scale = np.divide((strengths * signs).sum(axis=1), variance, out=np.zeros(len(predicted)), where=usable)
    enough = np.asarray(counted.sum(axis=1) >= MIN_JOINTS)
    return scale[:, None, None] * rotated + y_mean, enough & _non_degenerate(y, truth * weights)


def scale_aligned(predicted: Floats, truth: Floats, counted: Bools) -> Floats:
    """Poses (N, K, D) scaled about the origin onto ground truth: least squares over `counted`, scale not negative."""
    weights = counted[..., None].astype(np.float64)
    product, variance = (predicted * truth * weights).sum(axis=(1, 2)), (predicted**2 * weights).sum(axis=(1, 2))
    scale = np.divide(product, variance, out=np.zeros(len(predicted)), where=variance > 0)
    return np.asarray(np.maximum(scale, 0)[:, None, None] * predicted)


def _means(points: Floats, weights: Floats) -> Floats:
    """(N, 1, D) means of points (N, K, D) with weights (N, K, 1) of 0 and 1."""
    return np.asarray((points * weights).sum(axis=1, keepdims=True) / np.maximum(weights.sum(axis=1, keepdims=True), 1))


def _non_degenerate(centred: Floats, points: Floats) -> Bools:
    """(N,): whether points (N, K, D) differ by more than rounding; `centred` are the same about their mean."""
    return np.asarray((centred**2).sum(axis=(1, 2)) > _EPS * (points**2).sum(axis=(1, 2)))


def _root_aligned(pairs: PosePairs, root: Root, with_root: bool) -> tuple[Floats, Floats, Bools, Bools]:
    """Predicted and ground truth poses about their roots, detected joints, and joints that count."""
    _require_3d(pairs)
    roots = [pairs.skeleton.index(joint) for joint in _root_joints(root)]
    predicted = pairs.predicted - pairs.predicted[:, roots].mean(axis=1, keepdims=True)
    truth = pairs.truth - pairs.truth[:, roots].mean(axis=1, keepdims=True)
    detected = pairs.detected & pairs.detected[:, roots].all(axis=1, keepdims=True)
    counted = pairs.counted & pairs.annotated[:, roots].all(axis=1, keepdims=True)
    if not with_root and len(roots) == 1:
        counted[:, roots] = False
    return predicted, truth, detected, counted


def _require_3d(pairs: PosePairs) -> None:
    if pairs.truth.shape[-1] != 3:
        raise ShapeError("truth", expected=("N", len(pairs.skeleton), 3), got=pairs.truth.shape)


def _root_joints(root: Root) -> tuple[str, ...]:
    joints = (root,) if isinstance(root, str) else root
    if not joints:
        raise AnnotationError("A root needs one joint or more; give its name, such as pelvis.")
    return joints


def _alignment_text(root: Root, with_root: bool) -> str:
    joints = _root_joints(root)
    if len(joints) > 1:
        return f"aligned at the mean of {joints_in_words(joints)}"
    return f"aligned at the {joints_in_words(joints)}, which {'counts' if with_root else 'does not count'} too"


def _items(pairs: PosePairs, values: Floats) -> PerItem:
    return PerItem(values, pairs.skeleton.joints, joint_groups(pairs.skeleton), pairs.image_index, pairs.num_images)


def _mean(pairs: PosePairs, errors: Floats, name: str, how: str, draws: ResampleCounts | None) -> Score:
    missed = int(np.isinf(errors).sum())
    left_out = f"{missed:,} joints not detected left out; " if missed else ""
    protocol = f"{name} in mm: {how}; {left_out}{pairs.describe()}; mean over joints and frames"
    return mean_score(_items(pairs, errors), name=name, unit="mm", protocol=protocol, draws=draws)
