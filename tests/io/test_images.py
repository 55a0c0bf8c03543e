"""Images: every kind becomes upright 8-bit RGB, every fault one sentence with the name of the file."""

from __future__ import annotations

import os
import struct
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO, StringIO
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, features

from poseg.errors import ImageError, ImageWarning, OutputError, ShapeError
from poseg.io import images
from poseg.io.images import ImageLimits, image_size, read_image, write_png

HEIGHT, WIDTH = 24, 40


@pytest.fixture
def photo():
    """Four plain quarters of different colours: no two of the eight orientations are equal."""
    rgb = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    rgb[:12, :20] = (250, 10, 20)
    rgb[:12, 20:] = (20, 240, 30)
    rgb[12:, :20] = (10, 30, 230)
    rgb[12:, 20:] = (200, 190, 180)
    return rgb


@pytest.fixture
def grey():
    return np.arange(HEIGHT * WIDTH, dtype=np.uint16).reshape(HEIGHT, WIDTH) * 67


def encoded(image, kind="PNG", **options):
    stream = BytesIO()
    (Image.fromarray(image) if isinstance(image, np.ndarray) else image).save(stream, kind, **options)
    return stream.getvalue()


def three(plane):
    return np.repeat(np.asarray(plane, np.uint8)[..., None], 3, axis=2)


# Reading: all kinds of sources.


def test_read_image_gives_the_same_for_all_sources(photo, tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(encoded(photo))
    with open(path, "rb") as stream:
        sources = [path, str(path), path.read_bytes(), bytearray(path.read_bytes()), memoryview(path.read_bytes()),
                   stream, BytesIO(path.read_bytes()), Image.fromarray(photo), photo]  # fmt: skip
        for source in sources:
            rgb = read_image(source)
            assert rgb.dtype == np.uint8
            assert rgb.flags.c_contiguous
            np.testing.assert_array_equal(rgb, photo)


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("PNG", {}),
        ("BMP", {}),
        ("TIFF", {}),
        ("TIFF", {"compression": "tiff_lzw"}),
        ("PPM", {}),
        ("WEBP", {"lossless": True}),
    ],
)
def test_lossless_formats_are_exact(photo, kind, options):
    np.testing.assert_array_equal(read_image(encoded(photo, kind, **options)), photo)


def test_jpeg_equals_pillow(photo):
    data = encoded(photo, "JPEG", quality=80)
    with Image.open(BytesIO(data)) as image:
        expected = np.asarray(image)
    np.testing.assert_array_equal(read_image(data), expected)


@pytest.mark.skipif(not features.check("avif"), reason="this Pillow has no AVIF")
def test_avif(photo):
    assert np.abs(read_image(encoded(photo, "AVIF", quality=95)).astype(int) - photo).mean() < 8


def test_read_image_is_thread_safe(photo):
    data = encoded(photo, "JPEG")
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(read_image, [data] * 64))
    assert all((result == results[0]).all() for result in results)


# Orientation.


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP", "JPEG"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(photo, kind, orientation):
    # the eight ways a camera stores an upright image, from the definition of the tag: where row 0 and column 0 are
    stored = {
        1: photo,
        2: photo[:, ::-1],
        3: photo[::-1, ::-1],
        4: photo[::-1],
        5: photo.transpose(1, 0, 2),
        6: photo.transpose(1, 0, 2)[::-1],
        7: photo.transpose(1, 0, 2)[::-1, ::-1],
        8: photo.transpose(1, 0, 2)[:, ::-1],
    }
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"lossless": True} if kind == "WEBP" else {"quality": 95, "subsampling": 0} if kind == "JPEG" else {}
    data = encoded(np.ascontiguousarray(stored[orientation]), kind, exif=exif, **options)
    rgb = read_image(data)
    assert rgb.shape == photo.shape
    np.testing.assert_allclose(rgb.astype(int), photo, atol=40 if kind == "JPEG" else 0)


def test_exif_orientation_of_16_bit_grey(grey):
    exif = Image.Exif()
    exif[0x0112] = 6
    data = encoded(np.ascontiguousarray(grey.T[::-1]), exif=exif)
    np.testing.assert_array_equal(read_image(data), three(grey >> 8))


@pytest.mark.parametrize("orientation", [0, 9, 200])
def test_invalid_exif_orientation_is_upright(photo, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    np.testing.assert_array_equal(read_image(encoded(photo, exif=exif)), photo)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
def test_damaged_exif_is_upright(photo):
    data = encoded(photo, "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff", quality=95)
    assert read_image(data).shape == photo.shape


# Modes.


def test_grey_is_copied_to_all_channels(photo):
    plane = photo[..., 0]
    np.testing.assert_array_equal(read_image(encoded(plane)), three(plane))
    np.testing.assert_array_equal(read_image(encoded(Image.fromarray(plane > 100))), three(255 * (plane > 100)))


def test_transparency_is_composited_over_white(photo):
    alpha = np.tile(np.linspace(0, 255, WIDTH).astype(np.uint8), (HEIGHT, 1))
    fraction = alpha[..., None] / 255
    expected = photo * fraction + 255 * (1 - fraction)
    rgba = np.dstack([photo, alpha])
    for source in (rgba, encoded(rgba), encoded(rgba, "WEBP", lossless=True, exact=True)):
        np.testing.assert_allclose(read_image(source), expected, atol=0.51)
    assert (read_image(rgba)[:, 0] == 255).all()
    np.testing.assert_array_equal(read_image(rgba)[:, -1], photo[:, -1])
    la = Image.merge("LA", [Image.fromarray(photo[..., 0]), Image.fromarray(alpha)])
    np.testing.assert_allclose(read_image(encoded(la)), three(photo[..., 0]) * fraction + 255 * (1 - fraction), atol=1)


def test_palettes_with_and_without_transparency(photo):
    palette = Image.fromarray(photo).quantize(4)
    np.testing.assert_array_equal(read_image(encoded(palette)), photo)
    np.testing.assert_array_equal(read_image(encoded(palette, "GIF")), photo)
    gone = int(np.asarray(palette)[0, 0])
    rgb = read_image(encoded(palette, transparency=gone))
    assert (rgb[:12, :20] == 255).all()
    np.testing.assert_array_equal(rgb[12:], photo[12:])


def test_transparent_colour_is_white(photo):
    rgb = read_image(encoded(photo, transparency=(250, 10, 20)))
    assert (rgb[:12, :20] == 255).all()
    np.testing.assert_array_equal(rgb[12:], photo[12:])


def test_16_bit_grey_keeps_its_upper_bits(grey):
    expected = three(grey >> 8)
    assert expected.max() > 200
    big_endian = Image.frombytes("I;16B", (WIDTH, HEIGHT), grey.astype(">u2").tobytes())
    ints = Image.fromarray(grey.astype(np.int32))
    pgm = b"P5 %d %d 65535\n" % (WIDTH, HEIGHT) + grey.astype(">u2").tobytes()
    for source in (grey, encoded(grey), encoded(grey, "TIFF"), big_endian, ints, pgm):
        np.testing.assert_array_equal(read_image(source), expected)


def test_integers_beyond_16_bits_are_rejected():
    for value in (-1, 70_000):
        with pytest.raises(ImageError, match="16-bit"):
            read_image(Image.fromarray(np.full((20, 20), value, np.int32)))


def test_16_bit_colour_keeps_its_upper_bits():
    rgb = (np.arange(20 * 20 * 3, dtype=np.uint16) * 53).reshape(20, 20, 3)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in rgb)
    data = png(20, 20, depth=16, colour=2, pixels=rows)
    np.testing.assert_array_equal(read_image(data), rgb >> 8)


def test_float_images_are_scaled(photo):
    plane = np.linspace(0, 1, HEIGHT * WIDTH, dtype=np.float32).reshape(HEIGHT, WIDTH)
    expected = three(np.rint(plane * 255))
    for source in (plane, plane.astype(np.float64), Image.fromarray(plane), encoded(plane, "TIFF")):
        np.testing.assert_array_equal(read_image(source), expected)


def test_cmyk_keeps_its_colours(photo):
    inks = Image.fromarray(photo).convert("CMYK")
    np.testing.assert_array_equal(read_image(inks), photo)
    np.testing.assert_array_equal(read_image(encoded(inks, "TIFF")), photo)
    jpeg = encoded(inks, "JPEG", quality=100, subsampling=0)  # written with Adobe's marker, inks inverted
    assert b"Adobe" in jpeg
    np.testing.assert_allclose(read_image(jpeg).astype(int), photo, atol=25)


def test_ycbcr_and_lab(photo):
    np.testing.assert_allclose(read_image(Image.fromarray(photo).convert("YCbCr")).astype(int), photo, atol=4)
    lab = Image.merge("LAB", [Image.new("L", (20, 20), value) for value in (128, 128, 128)])  # neutral, half as light
    np.testing.assert_allclose(read_image(lab).astype(int), 119, atol=3)


def test_mode_without_rgb_conversion_is_reported(monkeypatch):
    def refuse(image, mode):
        raise ValueError(f"conversion from {image.mode} to {mode} not supported")

    monkeypatch.setattr(Image.Image, "convert", refuse)
    with pytest.raises(ImageError, match="colour mode LAB"):
        read_image(Image.new("LAB", (20, 20)))


def test_animations_and_pages_give_the_first_with_a_warning(photo):
    second = Image.fromarray(255 - photo)
    for kind, options in (("GIF", {}), ("PNG", {}), ("WEBP", {"lossless": True}), ("TIFF", {})):
        one = encoded(Image.fromarray(photo), kind, save_all=True, **options)
        np.testing.assert_array_equal(read_image(one), photo)
        data = encoded(Image.fromarray(photo), kind, save_all=True, append_images=[second], **options)
        with pytest.warns(ImageWarning, match="has 2 (frames|pages)") as warned:
            np.testing.assert_array_equal(read_image(data, name="two.gif"), photo)
        assert len(warned) == 1
        assert str(warned[0].message).startswith("two.gif ")


def test_previews_of_phones_are_no_animation(photo):
    data = encoded(Image.fromarray(photo), "MPO", save_all=True, append_images=[Image.fromarray(photo)])
    assert read_image(data).shape == photo.shape


@pytest.mark.parametrize("bits", [8, 10, 12, 14])
@pytest.mark.parametrize("channels", [None, 1, 3])
def test_fewer_bits_in_16_are_scaled_by_the_largest_value(bits, channels):
    shape = (HEIGHT, WIDTH) if channels is None else (HEIGHT, WIDTH, channels)
    image = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    deep = image.astype(np.uint16) << (bits - 8)
    sources = [deep]
    if channels is None:
        sources += [encoded(deep), encoded(deep, "TIFF"), Image.fromarray(deep.astype(np.int32))]
    if channels == 3:
        rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in deep)
        sources += [png(WIDTH, HEIGHT, depth=16, colour=2, pixels=rows)]
    for source in sources:
        with pytest.warns(ImageWarning, match=f"{bits} bits"):
            rgb = read_image(source)
        np.testing.assert_array_equal(rgb, np.broadcast_to(image.reshape(HEIGHT, WIDTH, -1), rgb.shape))


def test_alpha_keeps_its_own_bits():
    deep = np.full((20, 20, 4), (4080, 0, 2048, 65535), np.uint16)
    with pytest.warns(ImageWarning, match="12 bits"):
        assert (read_image(deep) == (255, 0, 128)).all()


def test_black_16_bit_images_are_black():
    assert not read_image(np.zeros((20, 20), np.uint16)).any()


def test_heif(photo):
    heif = pytest.importorskip("pillow_heif", reason="HEIF needs the extra `heif`")
    exif = Image.Exif()
    exif[0x0112] = 6
    heif.register_heif_opener()
    data = encoded(Image.fromarray(photo), "HEIF", quality=-1, exif=exif.tobytes())
    rgb = read_image(data)
    assert rgb.shape == (WIDTH, HEIGHT, 3)
    assert np.abs(rgb.astype(int) - np.rot90(photo, -1)).mean() < 3


def test_heif_without_its_reader_is_reported(tmp_path):
    path = tmp_path / "a.jpg"
    path.write_bytes(b"\0\0\0\x1cftypheic\0\0\0\0mif1heic" + bytes(40))
    images.readable_formats.cache_clear()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(images, "HEIF_READER", "no_such_module")
        patch.setattr(images.Image, "OPEN", {k: v for k, v in images.Image.OPEN.items() if k not in ("HEIF", "AVIF")})
        for read in (read_image, image_size):
            with pytest.raises(ImageError, match=r"HEIF file; .*poseg\[heif\]"):
                read(path)
    images.readable_formats.cache_clear()


# Arrays.


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.bool_, np.float16, np.float32, np.float64])
@pytest.mark.parametrize("shape", [(20, 30), (20, 30, 1), (20, 30, 3)])
def test_array_dtypes_and_shapes(shape, dtype):
    ones = np.zeros(shape, dtype)
    ones[:5] = {np.uint8: 255, np.uint16: 65535}.get(dtype, 1)
    rgb = read_image(ones)
    assert rgb.shape == (20, 30, 3)
    assert rgb.dtype == np.uint8
    assert (rgb[:5] == 255).all()
    assert not rgb[5:].any()


def test_rgb_array_is_neither_copied_nor_changed(photo):
    assert np.shares_memory(read_image(photo), photo)
    backwards = photo[:, ::-1]
    np.testing.assert_array_equal(read_image(backwards), backwards)


@pytest.mark.parametrize("shape", [(), (20,), (20, 20, 2), (20, 20, 5), (1, 20, 20, 3), (20, 20, 0)])
def test_arrays_of_other_shapes_are_rejected(shape):
    with pytest.raises(ImageError) as raised:
        read_image(np.zeros(shape, np.uint8), limits=ImageLimits(min_side_px=0))
    assert str(shape) in str(raised.value)


@pytest.mark.parametrize(
    ("shape", "advice"), [((3, 40, 50), "transpose"), ((2, 40, 50, 3), "list"), ((1, 3, 40, 50), "batch")]
)
def test_messages_of_arrays_of_networks_say_what_to_do(shape, advice):
    with pytest.raises(ImageError, match=advice):
        read_image(np.zeros(shape, np.uint8))


def test_floats_a_rounding_outside_of_their_range_are_read(photo):
    exact = photo.astype(np.float32) / 255
    shifted = np.where(exact == 1, np.nextafter(np.float32(1), np.float32(2)), exact - np.float32(1e-7))
    np.testing.assert_array_equal(read_image(shifted), photo)


@pytest.mark.parametrize("value", [np.nan, np.inf, 1.25, 200.0])
def test_floats_of_another_range_are_named(value):
    with pytest.raises(ImageError) as raised:
        read_image(np.full((20, 20), value, np.float32))
    assert ("finite" if not np.isfinite(value) else f"{value:g}") in str(raised.value)


@pytest.mark.parametrize(
    "address",
    ["https://example.org/a.jpg", Path("https://example.org/a.jpg"), "s3://b/a.png", "data:image/png;base64,AA"],
)
def test_addresses_are_no_missing_files(address):
    with pytest.raises(ImageError, match="address"):
        read_image(address)


@pytest.mark.parametrize("values", [np.full((20, 20), 1.5), np.full((20, 20), -0.1), np.full((20, 20), np.nan),
                                    np.full((20, 20), 7), np.full((20, 20), "a"), np.full((20, 20), 1j)])  # fmt: skip
def test_arrays_of_other_values_are_rejected(values):
    with pytest.raises(ImageError, match="The array holds"):
        read_image(values)


def test_limits_apply_to_arrays():
    with pytest.raises(ImageError, match="10 x 20 pixels"):
        read_image(np.zeros((20, 10, 3), np.uint8))
    with pytest.raises(ImageError, match="more than the 100 allowed"):
        read_image(np.zeros((20, 20), np.uint8), limits=ImageLimits(max_pixels=100))


# Faults.


def png(width, height, depth=8, colour=2, pixels=b""):
    """A PNG file with this header, whatever its pixels."""

    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(pixels)) + chunk(b"IEND", b"")


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "GIF", "BMP", "TIFF"])
def test_truncated_files_are_reported(kind, tmp_path):
    data = encoded(noise(64), kind)
    path = tmp_path / f"cut.{kind.lower()}"
    for fraction in (0.5, 0.9):
        path.write_bytes(data[: int(len(data) * fraction)])
        with pytest.raises(ImageError) as raised:
            read_image(path)
        assert str(path) in str(raised.value)


def noise(side):
    return np.random.default_rng(0).integers(0, 255, (side, side, 3), dtype=np.uint8)


EDGE = 16 + 2  # rows of the last blocks, and those that the upsampling of colours mixes


def with_thumbnail(image):
    """A progressive JPEG file whose EXIF holds another JPEG file."""
    data, small = encoded(image, "JPEG", progressive=True), encoded(noise(16), "JPEG")
    block = b"Exif\0\0" + small
    return data[:2] + b"\xff\xe1" + struct.pack(">H", len(block) + 2) + block + data[2:]


@pytest.mark.parametrize("options", [{}, {"subsampling": 0}, {"restart_marker_rows": 1}, {"progressive": True}])
def test_a_jpeg_file_that_lacks_its_end_is_read_with_a_warning(options):
    side = 128
    data = encoded(noise(side), "JPEG", **options)
    whole = read_image(data)
    for lacking in (1, 2, 3, 10, len(data) // 10):
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            rgb = read_image(data[:-lacking], name="cut.jpg")
        if not warned:  # a decoder that has all blocks need not see the end
            np.testing.assert_array_equal(rgb, whole)
            continue
        assert [warning.category for warning in warned] == [ImageWarning]
        assert str(warned[0].message).startswith("cut.jpg is cut short")
        if "progressive" not in options:
            rows = int(str(warned[0].message).split(": ")[1].split()[0])
            assert rows >= (side - EDGE if lacking <= 10 else 0.75 * side)
            np.testing.assert_array_equal(rgb[: rows - EDGE], whole[: rows - EDGE])
            assert lacking > 2 or rows == side


@pytest.mark.parametrize("make", [lambda image: encoded(image, "JPEG"), with_thumbnail], ids=["plain", "thumbnail"])
def test_a_jpeg_file_that_lacks_too_much_is_reported(make, tmp_path):
    data = make(noise(128))
    start = data.rindex(b"\xff\xda") if make is not with_thumbnail else data.index(b"\xff\xda", 900)
    for end in (start - 4, start + 20, start + 200):
        (tmp_path / "cut.jpg").write_bytes(data[:end])
        with pytest.raises(ImageError, match=r"cut\.jpg is damaged or cut short .*; copy or download it again"):
            read_image(tmp_path / "cut.jpg")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes in folders are for POSIX")
def test_pipes_are_reported_rather_than_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.jpg")
    for read in (read_image, image_size):
        with pytest.raises(ImageError, match="device or a pipe"):
            read(tmp_path / "pipe.jpg")


@pytest.mark.parametrize(
    ("data", "message"),
    [(b"", "0 bytes"), (b"just some words", "not an image"), (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 50 50\n",
                                                             "not an image")],
)  # fmt: skip
def test_other_files_are_reported(tmp_path, data, message):
    path = tmp_path / "photo.jpg"
    path.write_bytes(data)
    with pytest.raises(ImageError, match=message) as raised:
        read_image(path)
    assert str(path) in str(raised.value)
    with pytest.raises(ImageError, match=f"upload 7 .*{message}"):
        read_image(data, name="upload 7")


def test_missing_files_and_folders_are_reported(tmp_path):
    with pytest.raises(ImageError, match=r"no file .*gone\.jpg"):
        read_image(tmp_path / "gone.jpg")
    with pytest.raises(ImageError, match="is a folder"):
        read_image(tmp_path)
    with pytest.raises(ImageError, match="Cannot read"):
        read_image("a\0b.jpg")
    with pytest.raises(ImageError, match="Cannot read"):
        read_image("n" * 300)


def test_other_sources_are_rejected():
    with pytest.raises(ImageError, match="got int"):
        read_image(7)
    with pytest.raises(ImageError, match="binary mode"):
        read_image(StringIO("abc"))


@pytest.mark.parametrize("size", [(1, 1), (20000, 10), (10, 20000), (15, 16)])
def test_images_too_small_for_a_person_are_rejected(size):
    data = encoded(Image.new("RGB", size))
    with pytest.raises(ImageError, match=f"{size[0]} x {size[1]} pixels; a side under 16"):
        read_image(data)
    assert read_image(data, limits=ImageLimits(min_side_px=1)).shape == (size[1], size[0], 3)


@pytest.mark.parametrize("side", [9_434, 12_000, 60_000, 2**31 - 1])
@pytest.mark.parametrize("category", ["error", "ignore"])
def test_decompression_bombs_are_rejected_by_their_header(side, category, monkeypatch):
    """Just over our limit, where Pillow warns, where it refuses; also where warnings are errors."""
    monkeypatch.setattr(Image.Image, "load", lambda image: pytest.fail("decoded"))
    data = png(side, side, pixels=bytes(1000))
    with warnings.catch_warnings():
        warnings.simplefilter(category)
        with pytest.raises(ImageError, match="pixels"):
            read_image(data)


def test_size_limits_are_the_callers(photo, tmp_path):
    data = encoded(photo)
    with pytest.raises(ImageError, match="40 x 24 pixels, more than the 959"):
        read_image(data, limits=ImageLimits(max_pixels=959))
    assert read_image(data, limits=ImageLimits(max_pixels=960)).shape == photo.shape
    (tmp_path / "a.png").write_bytes(data)
    for source in (data, BytesIO(data), tmp_path / "a.png"):
        with pytest.raises(ImageError, match="more than 10 bytes"):
            read_image(source, limits=ImageLimits(max_bytes=10))
        if isinstance(source, BytesIO):
            source.seek(0)
        assert read_image(source, limits=ImageLimits(max_bytes=len(data))).shape == photo.shape


@given(st.sampled_from(["PNG", "JPEG", "GIF", "BMP", "WEBP", "PPM", "JPEG2000"]), st.data())
@settings(max_examples=25, deadline=None)
@pytest.mark.filterwarnings("ignore")
def test_damaged_files_give_an_image_or_an_image_error(kind, data):
    noise = np.random.default_rng(0).integers(0, 255, (20, 20, 3), dtype=np.uint8)
    file = bytearray(encoded(noise, kind))
    for place in data.draw(st.lists(st.integers(0, len(file) - 1), min_size=1, max_size=6)):
        file[place] = data.draw(st.integers(0, 255))
    try:
        rgb = read_image(bytes(file), name="damaged.jpg")
    except ImageError as fault:
        assert "damaged.jpg" in str(fault)  # noqa: PT017
    else:
        assert rgb.ndim == 3
        assert rgb.dtype == np.uint8


# The road out.


def test_write_png_round_trips_colours(photo, tmp_path):
    write_png(tmp_path / "a.png", photo)
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), photo)
    rgba = np.dstack([photo, np.full((HEIGHT, WIDTH), 77, np.uint8)])
    write_png(tmp_path / "a.png", rgba[:, ::-1])
    with Image.open(tmp_path / "a.png") as image:
        np.testing.assert_array_equal(np.asarray(image), rgba[:, ::-1])
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


@pytest.mark.parametrize(("top", "dtype", "mode"), [(5, np.int64, "L"), (255, np.uint8, "L"), (256, np.int32, "I;16"),
                                                    (65535, np.uint16, "I;16")])  # fmt: skip
def test_write_png_stores_labels_in_the_smallest_type(tmp_path, top, dtype, mode):
    labels = np.random.default_rng(0).integers(0, top, (20, 30)).astype(dtype)
    labels[0, 0] = top
    write_png(tmp_path / "a.png", labels)
    with Image.open(tmp_path / "a.png") as image:
        assert image.mode == mode
        np.testing.assert_array_equal(np.asarray(image), labels)


def test_write_png_stores_masks_as_0_and_255(tmp_path):
    mask = np.random.default_rng(0).random((20, 30)) > 0.5
    write_png(tmp_path / "a.png", mask)
    np.testing.assert_array_equal(read_image(tmp_path / "a.png")[..., 0], 255 * mask)


def test_write_png_palette_keeps_labels_exact(tmp_path):
    labels = np.arange(600).reshape(20, 30) % 4
    palette = np.array([[0, 0, 0], [255, 0, 0], [0, 255, 0], [9, 8, 7]], np.uint8)
    write_png(tmp_path / "a.png", labels, palette=palette)
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), palette[labels])
    with Image.open(tmp_path / "a.png") as image:
        assert image.mode == "P"
        np.testing.assert_array_equal(np.asarray(image), labels)


def test_write_png_rejects_other_arrays(tmp_path):
    bad = [np.zeros((4, 4, 2), np.uint8), np.zeros((4, 4, 3)), np.zeros((4, 4), np.float32), np.zeros((0, 4), np.uint8),
           np.full((4, 4), -1), np.full((4, 4), 70_000)]  # fmt: skip
    for array in bad:
        with pytest.raises(ShapeError, match="image"):
            write_png(tmp_path / "a.png", array)
    for palette in (np.zeros((2, 3), np.uint8), np.zeros((300, 3), np.uint8), np.zeros((4, 4), np.uint8)):
        with pytest.raises(ShapeError, match="palette"):
            write_png(tmp_path / "a.png", np.full((4, 4), 3), palette=palette)
    assert not list(tmp_path.iterdir())


def test_write_png_reports_invalid_targets(photo, tmp_path):
    with pytest.raises(OutputError, match="missing"):
        write_png(tmp_path / "missing" / "a.png", photo)
