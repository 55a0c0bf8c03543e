"""An image that is written like another keeps its colour profile and EXIF, and nothing that shows it as it was."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageCms

from poseg.errors import OutputError
from poseg.io.image_metadata import FORMATS, Metadata, read_metadata, write_image

PIXELS = np.random.default_rng(0).integers(0, 256, (40, 30, 3), dtype=np.uint8)
PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def exif():
    """Orientation, a camera, an exposure, a place; a maker's note and a preview that show the image as it was."""
    data = Image.Exif()
    data[ExifTags.Base.Orientation] = 6
    data[ExifTags.Base.Model] = "Camera"
    block = data.get_ifd(ExifTags.IFD.Exif)
    block[ExifTags.Base.ExposureTime] = 0.5
    block[ExifTags.Base.MakerNote] = b"secret" * 9
    block[ExifTags.Base.ExifImageWidth] = 40
    data.get_ifd(ExifTags.IFD.GPSInfo)[1] = "N"
    return data


def saved(path, image=None, **options):
    (Image.fromarray(PIXELS) if image is None else image).save(path, **options)
    return path


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".avif"])
@pytest.mark.parametrize("target", [".png", ".jpg", ".webp"])
def test_profile_and_exif_are_kept(tmp_path, suffix, target):
    source = saved(tmp_path / f"a{suffix}", exif=exif(), icc_profile=PROFILE)
    write_image(tmp_path / f"b{target}", PIXELS, read_metadata(source))
    with Image.open(tmp_path / f"b{target}") as image:
        assert image.info["icc_profile"] == PROFILE
        data = image.getexif()
        assert data[ExifTags.Base.Model] == "Camera"
        assert ExifTags.Base.Orientation not in data
        assert dict(data.get_ifd(ExifTags.IFD.Exif)) == {ExifTags.Base.ExposureTime: 0.5}
        assert dict(data.get_ifd(ExifTags.IFD.GPSInfo)) == {1: "N"}
        if target != ".jpg":
            np.testing.assert_array_equal(np.asarray(image), PIXELS)
    assert b"secret" not in (tmp_path / f"b{target}").read_bytes()


def test_profiles_of_tiff_are_kept_and_its_own_tags_are_not(tmp_path):
    source = saved(tmp_path / "a.tif", icc_profile=PROFILE, compression="tiff_lzw")
    assert read_metadata(source) == Metadata(PROFILE, b"")


def test_previews_are_not_kept(tmp_path):
    stream = BytesIO()
    saved(stream, format="JPEG", quality=40)
    preview = stream.getvalue()
    data = exif()
    data.get_ifd(ExifTags.IFD.IFD1)[ExifTags.Base.JpegIFByteCount] = len(preview)
    source = saved(tmp_path / "a.jpg", exif=data.tobytes() + preview)
    write_image(tmp_path / "b.jpg", PIXELS, read_metadata(source))
    assert (tmp_path / "b.jpg").read_bytes().count(b"\xff\xd8\xff") == 1


@pytest.mark.parametrize("mode", ["CMYK", "L"])
def test_profiles_of_other_colours_are_not_kept(tmp_path, mode):
    other = PROFILE[:16] + {"CMYK": b"CMYK", "L": b"GRAY"}[mode] + PROFILE[20:]
    for profile in (other, PROFILE, b"short"):
        source = saved(tmp_path / "a.jpg", Image.new(mode, (30, 40)), icc_profile=profile)
        assert read_metadata(source).icc_profile == b""


def test_damaged_and_missing_metadata_are_none(tmp_path):
    assert read_metadata(saved(tmp_path / "a.png")) == Metadata()
    block = b"Exif\0\0II*\0\x08\0\0\0\x05\0"
    data = saved(tmp_path / "b.jpg").read_bytes()
    (tmp_path / "b.jpg").write_bytes(data[:2] + b"\xff\xe1\0" + bytes([len(block) + 2]) + block + data[2:])
    assert read_metadata(tmp_path / "b.jpg") == Metadata()
    assert read_metadata(tmp_path / "missing.jpg") == Metadata()


def test_exif_that_does_not_fit_into_a_jpeg_file_is_left_out(tmp_path):
    long = Image.Exif()
    long[ExifTags.Base.ImageDescription] = "x" * 70_000
    write_image(tmp_path / "a.jpg", PIXELS, Metadata(PROFILE, long.tobytes()))
    with Image.open(tmp_path / "a.jpg") as image:
        assert not dict(image.getexif())
        assert image.info["icc_profile"] == PROFILE


def test_formats_that_cannot_be_written_are_reported(tmp_path):
    for name, channels in (("a.tif", 3), ("a.jpg", 4)):
        with pytest.raises(OutputError, match=r"\.png"):
            write_image(tmp_path / name, np.zeros((20, 20, channels), np.uint8))
    assert set(FORMATS) == {".png", ".jpg", ".jpeg", ".webp"}
