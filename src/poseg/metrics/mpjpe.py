"""Errors of 3D poses in mm: MPJPE, PA-MPJPE, N-MPJPE, MPJVE, and the share within 150 mm (3DPCK).

Numbers under different joints, roots or alignments cannot be compared, so each score says its own:

MPJPE     poses laid root on root, neither turned nor scaled (Ionescu et al., "Human3.6M", PAMI 2014)
N-MPJPE   root on root, then scaled by one number a pose
PA-MPJPE  moved, turned and scaled by the best similarity of each pose
3DPCK     share of joints within 150 mm, root on root; AUC over 0 to 150 mm by 5 (Mehta et al., 3DV 2017)
MPJVE     MPJPE of the differences between one frame and the next (Pavllo et al., CVPR 2019), in mm a frame

`pairs` are frames: (N, K, 3) in mm. A distance in mm needs two points, so joints that were not found are left out of
means and counted in the protocol; for 3DPCK they are wrong. A frame without a true root is left out.
"""

from __future__ import annotations

import numpy as np

from poseg.errors import AnnotationError, ShapeError
from poseg.metrics.alignment import LEAST_JOINTS, scale_aligned, similarity_aligned
from poseg.metrics.pairs import Bools, Floats, PosePairs, joint_groups, joints_in_words
from poseg.metrics.score import Draws, Items, Score, averaged, within

Root = str | tuple[str, ...]

PELVIS = "pelvis"
THRESHOLDS_MM: Floats = np.arange(0, 151, 5).astype(np.float64)


def mpjpe(pairs: PosePairs, root: Root = PELVIS, *, with_root: bool = True, draws: Draws | None = None) -> Score:
    """Mean distance in mm, root on root.

    root       joint that poses are laid together by; several names: their middle
    with_root  whether the root itself, whose error is 0, counts among the joints, as is usual with 17 joints
    draws      (B, I) resamples of clips (`PosePairs.picture`) for intervals; none without
    """
    errors = rooted_errors(pairs, root, with_root=with_root)
    return _mean(pairs, errors, "MPJPE", f"{_rooted(pairs, root, with_root)}, not turned or scaled", draws)


def n_mpjpe(pairs: PosePairs, root: Root = PELVIS, *, with_root: bool = True, draws: Draws | None = None) -> Score:
    """MPJPE after the best scale of each pose; arguments as in `mpjpe`."""
    errors = rooted_errors(pairs, root, with_root=with_root, scaled=True)
    return _mean(pairs, errors, "N-MPJPE", f"{_rooted(pairs, root, with_root)}, scaled by one number a pose", draws)


def pa_mpjpe(pairs: PosePairs, *, draws: Draws | None = None) -> Score:
    """MPJPE after the best similarity of each pose; `draws` as in `mpjpe`."""
    errors = similarity_errors(pairs)
    degenerate = int((pairs.counted & pairs.placed & np.isnan(errors)).any(axis=1).sum())
    lost = f"; {degenerate:,} poses of fewer than {LEAST_JOINTS} joints or no extent left out" if degenerate else ""
    return _mean(pairs, errors, "PA-MPJPE", f"each pose moved, turned and scaled by its best similarity{lost}", draws)


def pck3d(
    pairs: PosePairs,
    root: Root = PELVIS,
    threshold_mm: float = 150.0,
    *,
    with_root: bool = True,
    draws: Draws | None = None,
) -> Score:
    """Share of joints within a distance, root on root, and AUC; arguments as in `mpjpe`."""
    errors = rooted_errors(pairs, root, with_root=with_root)
    name = f"3DPCK@{threshold_mm:g}mm"
    protocol = (
        f"{name}: a joint is right within {threshold_mm:g} mm, {_rooted(pairs, root, with_root)}; joints not found are "
        f"wrong; {pairs.said()}; mean over joints and frames; AUC over 0 to 150 mm by 5"
    )
    return within(_items(pairs, errors), threshold_mm, THRESHOLDS_MM, name=name, protocol=protocol, draws=draws)


def mpjve(pairs: PosePairs, root: Root = PELVIS, *, with_root: bool = True, draws: Draws | None = None) -> Score:
    """Mean error of the joints' motion from frame to frame in mm; arguments as in `mpjpe`.

    Rows that follow each other and have the same `PosePairs.picture` are frames of one clip that follow each other.
    """
    found, true, sure, counted = _on_root(pairs, root, with_root)
    ready = sure & counted
    same_clip = (np.diff(pairs.picture) == 0)[:, None]
    apart = np.linalg.norm(np.diff(found, axis=0) - np.diff(true, axis=0), axis=-1)
    errors = np.full(pairs.true.shape[:2], np.nan)
    errors[1:] = np.where(ready[1:] & ready[:-1] & same_clip, apart, np.nan)
    how = f"error of the difference of each frame from the one before, {_rooted(pairs, root, with_root)}"
    return _mean(pairs, errors, "MPJVE", how, draws)


def rooted_errors(pairs: PosePairs, root: Root = PELVIS, *, with_root: bool = True, scaled: bool = False) -> Floats:
    """(N, K) distances in mm, root on root; infinite where not found, NaN where not counted.

    The mean of a row is a frame's MPJPE, whose spread over frames papers give beside the mean.
    """
    found, true, sure, counted = _on_root(pairs, root, with_root)
    if scaled:
        found = scale_aligned(found, true, sure & counted)
    return np.where(counted, np.where(sure, np.linalg.norm(found - true, axis=-1), np.inf), np.nan)


def similarity_errors(pairs: PosePairs) -> Floats:
    """(N, K) distances in mm after the best similarity; infinite where not found, NaN in poses without one."""
    _check(pairs)
    aligned, possible = similarity_aligned(pairs.found, pairs.true, pairs.counted & pairs.placed)
    apart = np.where(possible[:, None], np.linalg.norm(aligned - pairs.true, axis=-1), np.nan)
    return np.where(pairs.counted, np.where(pairs.placed, apart, np.inf), np.nan)


def _on_root(pairs: PosePairs, root: Root, with_root: bool) -> tuple[Floats, Floats, Bools, Bools]:
    """Found and true poses from their roots, which joints were found, and which count."""
    _check(pairs)
    places = [pairs.skeleton.index(joint) for joint in _joints(root)]
    found = pairs.found - pairs.found[:, places].mean(axis=1, keepdims=True)
    true = pairs.true - pairs.true[:, places].mean(axis=1, keepdims=True)
    sure = pairs.placed & pairs.placed[:, places].all(axis=1, keepdims=True)
    counted = pairs.counted & pairs.annotated[:, places].all(axis=1, keepdims=True)
    if not with_root and len(places) == 1:
        counted[:, places] = False
    return found, true, sure, counted


def _check(pairs: PosePairs) -> None:
    if pairs.true.shape[-1] != 3:
        raise ShapeError("true", expected=("N", len(pairs.skeleton), 3), got=pairs.true.shape)


def _joints(root: Root) -> tuple[str, ...]:
    joints = (root,) if isinstance(root, str) else root
    if not joints:
        raise AnnotationError("A root needs one joint or more; give its name, such as pelvis.")
    return joints


def _rooted(pairs: PosePairs, root: Root, with_root: bool) -> str:
    joints = _joints(root)
    if len(joints) > 1:
        return f"laid together by the middle of {joints_in_words(joints)}"
    return f"laid together by the {joints_in_words(joints)}, which {'counts' if with_root else 'does not count'} too"


def _items(pairs: PosePairs, values: Floats) -> Items:
    return Items(values, pairs.skeleton.joints, joint_groups(pairs.skeleton), pairs.picture, pairs.pictures)


def _mean(pairs: PosePairs, errors: Floats, name: str, how: str, draws: Draws | None) -> Score:
    missed = int(np.isinf(errors).sum())
    left_out = f"{missed:,} joints not found left out; " if missed else ""
    protocol = f"{name} in mm: {how}; {left_out}{pairs.said()}; mean over joints and frames"
    return averaged(_items(pairs, errors), name=name, unit="mm", protocol=protocol, draws=draws)
