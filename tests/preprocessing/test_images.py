import functools
import io
import pathlib
import struct
import subprocess
import sys
import zlib

import numpy as np
import PIL.Image
import PIL.ImageOps
import pytest
import tensorflow as tf

from preprocessing import images
from preprocessing.images import as_channels
from preprocessing.images import decode_images
from preprocessing.images import resize
from serving.check_saved_model import xla_ops

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
SIZE = (6, 10)  # height and width of most pictures here
# All values differ, so that any exchange of pixels or channels shows.
PIXELS = np.arange(180, dtype="uint8").reshape(*SIZE, 3)


@functools.cache
def _decoder(size, channels=3, interpolation="bilinear"):
    return tf.function(
        lambda files: decode_images(files, size, channels, interpolation),
        input_signature=[tf.TensorSpec([None], tf.string)],
    )


def decode(files, size=SIZE, **options):
    decoded, valid = _decoder(size, **options)(tf.constant(files, tf.string))
    return decoded.numpy(), valid.numpy()


def encode(pixels, form="PNG", **options):
    picture = pixels
    if isinstance(pixels, np.ndarray):
        picture = PIL.Image.fromarray(pixels)
    file = io.BytesIO()
    picture.save(file, form, **options)
    return file.getvalue()


def by_pillow(content):
    picture = PIL.Image.open(io.BytesIO(content))
    upright = PIL.ImageOps.exif_transpose(picture).convert("RGB")
    return np.asarray(upright) / np.float32(255)


def exif_segment(fields, order="<", first=8, magic=42, name=b"Exif\0\0"):
    """APP1 with one directory of `(tag, type, count, packed value)`."""
    directory = struct.pack(f"{order}H", len(fields))
    for tag, kind, count, value in fields:
        directory += struct.pack(f"{order}HHI", tag, kind, count) + value
    mark = b"II" if order == "<" else b"MM"
    tiff = mark + struct.pack(f"{order}HI", magic, first) + directory
    content = name + tiff + bytes(4)
    return b"\xff\xe1" + struct.pack(">H", len(content) + 2) + content


def with_segments(jpeg, *segments):
    return jpeg[:2] + b"".join(segments) + jpeg[2:]


PNG = encode(PIXELS)
# Without smoothing of the colours there is more to go wrong.
JPEG = encode(PIXELS, "JPEG", quality=95, subsampling=0)
GOOD = {
    "png": PNG,
    "jpeg": JPEG,
    "progressive": encode(PIXELS, "JPEG", progressive=True),
    "grey jpeg": encode(PIXELS[..., 0].copy(), "JPEG"),
    "cmyk jpeg": encode(PIL.Image.fromarray(PIXELS).convert("CMYK"), "JPEG"),
    "grey png": encode(PIXELS[..., 0].copy()),
    # 8, 4, 2 and 1 bits a pixel.
    "palette of 180": encode(PIL.Image.fromarray(PIXELS).quantize(180)),
    "palette of 16": encode(PIL.Image.fromarray(PIXELS).quantize(16)),
    "palette of 4": encode(PIL.Image.fromarray(PIXELS).quantize(4)),
    "black and white png": encode(PIXELS[..., 0] > 90),
    "trailing bytes": JPEG + b"more",
}


@pytest.mark.parametrize("name", GOOD)
def test_formats_against_pillow(name):
    decoded, valid = decode([GOOD[name]])
    assert valid.tolist() == [True]
    assert decoded.dtype == np.float32
    np.testing.assert_array_equal(decoded[0], by_pillow(GOOD[name]))


def test_pixels_of_a_png_are_exact():
    decoded, _ = decode([PNG])
    np.testing.assert_array_equal(decoded[0] * 255, PIXELS)


def test_sixteen_bits_are_kept():
    grey = (np.arange(60) * 1111 % 65536).astype("uint16").reshape(SIZE)
    assert np.unique(grey % 256).size > 20
    decoded, valid = decode([encode(grey)])
    assert valid.all()
    for channel in range(3):
        np.testing.assert_allclose(
            decoded[0, ..., channel], grey / 65535, atol=1e-7
        )


def test_sixteen_bits_over_white():
    # Pillow writes no such file: grey and opacity of 16 bits.
    samples = np.array([[[20000, 65535], [20000, 13107]]], ">u2")
    rows = b"\0" + samples.tobytes()

    def chunk(name, content):
        check = struct.pack(">I", zlib.crc32(name + content))
        return struct.pack(">I", len(content)) + name + content + check

    content = (
        images.PNG_SIGNATURE
        + chunk(b"IHDR", struct.pack(">IIBBBBB", 2, 1, 16, 4, 0, 0, 0))
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )
    decoded, valid = decode([content], size=(1, 2))
    assert valid.all()
    grey = 20000 / 65535
    np.testing.assert_allclose(
        decoded[0, 0, :, 0], [grey, grey * 0.2 + 0.8], atol=1e-6
    )


_MEMORY = """
import resource
import sys
import tensorflow as tf
from preprocessing.images import decode_images

decode = tf.function(lambda files: decode_images(files, (8, 8)))
peaks = []
for path in sys.argv[1:]:
    with open(path, "rb") as file:
        decode(tf.constant([file.read()]))
    peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
print((peaks[1] - peaks[0]) // 1024)
"""


def test_a_photograph_takes_little_memory(tmp_path):
    # 34 MiB of pixels. As floats they would be 137, and several times so.
    paths = [tmp_path / "small.png", tmp_path / "large.png"]
    for path, size in zip(paths, ((4, 4), (4000, 3000))):
        PIL.Image.new("RGB", size, (9, 99, 200)).save(path, compress_level=1)
    printed = subprocess.run(
        [sys.executable, "-c", _MEMORY, *map(str, paths)],
        cwd=REPOSITORY,
        check=True,
        capture_output=True,
        text=True,
        timeout=300,
    ).stdout
    assert int(printed) < 90


def test_transparent_pixels_lie_over_white():
    pixels = np.zeros((*SIZE, 4), "uint8")
    pixels[0, 0] = 10, 20, 30, 51  # opacity 0.2
    pixels[0, 1] = 10, 20, 30, 255
    decoded, _ = decode([encode(pixels)])
    expected = np.array([10, 20, 30]) / 255 * 0.2 + 0.8
    np.testing.assert_allclose(decoded[0, 0, 0], expected, atol=1e-6)
    np.testing.assert_array_equal(
        decoded[0, 0, 1], np.array([10, 20, 30], "float32") / 255
    )
    np.testing.assert_array_equal(decoded[0, 1], np.ones((10, 3)))


@pytest.mark.parametrize("mode", ["L", "P", "RGB", "1", "LA"])
@pytest.mark.parametrize("num_colours", [2, 4, 16, 60])
def test_transparency_against_pillow(mode, num_colours):
    grey = PIL.Image.fromarray(PIXELS[..., 0].copy())
    few = grey.quantize(num_colours)
    if mode == "LA":
        content = encode(PIL.Image.merge("LA", [grey, grey.rotate(180)]))
    elif mode == "P":
        content = encode(few, transparency=bytes(range(100, 100 + num_colours)))
    else:
        picture = few.convert("RGB").convert(mode)
        content = encode(picture, transparency=picture.getpixel((3, 2)))
    # By Pillow in floats: its own compositing rounds.
    pixels = np.asarray(PIL.Image.open(io.BytesIO(content)).convert("RGBA"))
    opacity = pixels[..., 3:] / 255
    assert opacity.min() < 1
    expected = pixels[..., :3] / 255 * opacity + 1 - opacity
    decoded, valid = decode([content])
    assert valid.all()
    np.testing.assert_allclose(decoded[0], expected, atol=1e-6)


def test_brightness():
    red = np.zeros((*SIZE, 3), "uint8")
    red[..., 0], red[0, 0, 1], red[0, 1, 2] = 255, 255, 255
    decoded, _ = decode([encode(red)], channels=1)
    assert decoded.shape == (1, *SIZE, 1)
    np.testing.assert_allclose(decoded[0, 1], 0.299, atol=1e-6)
    np.testing.assert_allclose(decoded[0, 0, 0], 0.299 + 0.587, atol=1e-6)
    np.testing.assert_allclose(decoded[0, 0, 1], 0.299 + 0.114, atol=1e-6)
    decoded, _ = decode([GOOD["grey png"]], channels=1)
    np.testing.assert_allclose(
        decoded[0, ..., 0] * 255, PIXELS[..., 0], atol=1e-4
    )


def test_as_channels():
    grey = tf.reshape(tf.range(6.0), (1, 2, 3, 1))
    colours = as_channels(grey, 3).numpy()
    assert colours.shape == (1, 2, 3, 3)
    assert (colours == grey.numpy()).all()
    assert as_channels(grey, 1) is grey


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientations_against_pillow(orientation):
    exif = PIL.Image.Exif()
    exif[0x0112] = orientation
    content = encode(PIXELS, "JPEG", quality=95, subsampling=0, exif=exif)
    expected = by_pillow(content)
    size = SIZE if orientation < 5 else SIZE[::-1]
    assert expected.shape == (*size, 3)
    decoded, valid = decode([content], size)
    assert valid.all()
    np.testing.assert_array_equal(decoded[0], expected)


# Each stands for orientation 3, in which the picture is turned by 180 degrees.
_OTHER = (0x010F, 2, 1, b"ab\0\0")
_UPSIDE_DOWN = {
    "little endian": [exif_segment([(0x0112, 3, 1, struct.pack("<HH", 3, 0))])],
    "big endian": [
        exif_segment([(0x0112, 3, 1, struct.pack(">HH", 3, 7))], ">")
    ],
    "four bytes": [exif_segment([(0x0112, 4, 1, struct.pack(">I", 3))], ">")],
    "not the first field": [
        exif_segment(
            [_OTHER, _OTHER, (0x0112, 3, 1, struct.pack("<HH", 3, 0)), _OTHER]
        )
    ],
    "after other segments": [
        b"\xff\xe1\0\x1dhttp://ns.adobe.com/xap/1.0/"[:31],
        b"\xff\xfe\0\x06text",
        exif_segment([(0x0112, 3, 1, struct.pack("<HH", 3, 0))]),
    ],
    "after filling bytes": [
        b"\xff\xff\xff",
        exif_segment([(0x0112, 3, 1, struct.pack("<HH", 3, 0))]),
    ],
}
_NOTHING_NOTED = {
    "no field": [exif_segment([])],
    "another field": [exif_segment([_OTHER])],
    "orientation 0": [exif_segment([(0x0112, 3, 1, b"\0\0\0\0")])],
    "orientation 9": [exif_segment([(0x0112, 3, 1, b"\x09\0\0\0")])],
    "another type": [exif_segment([(0x0112, 2, 1, b"\x03\0\0\0")])],
    "two values": [exif_segment([(0x0112, 3, 2, b"\x03\0\x03\0")])],
    "no TIFF": [exif_segment([(0x0112, 3, 1, b"\x03\0\0\0")], magic=43)],
    "no Exif": [
        exif_segment([(0x0112, 3, 1, b"\x03\0\0\0")], name=b"Exig\0\0")
    ],
    "far away": [
        exif_segment([(0x0112, 3, 1, b"\x03\0\0\0")], first=2**32 - 1)
    ],
    "ends too early": [b"\xff\xe1\0\x0eExif\0\0II*\0\x08\0"[:16]],
}


@pytest.mark.parametrize(
    "segments, turned",
    [
        *[pytest.param(x, True, id=name) for name, x in _UPSIDE_DOWN.items()],
        *[
            pytest.param(x, False, id=name)
            for name, x in _NOTHING_NOTED.items()
        ],
    ],
)
def test_where_the_orientation_is_noted(segments, turned):
    decoded, valid = decode([JPEG, with_segments(JPEG, *segments)])
    assert valid.all()
    expected = decoded[0][::-1, ::-1] if turned else decoded[0]
    np.testing.assert_array_equal(decoded[1], expected)


def test_pixels_are_not_taken_for_a_segment():
    fake = exif_segment([(0x0112, 3, 1, b"\x03\0\0\0")])
    decoded, valid = decode([JPEG, JPEG + fake])
    assert valid.all()
    np.testing.assert_array_equal(decoded[0], decoded[1])


BAD = {
    "nothing": b"",
    "one byte": b"\xff",
    "text": b"this is no picture",
    "signatures only": images.PNG_SIGNATURE,
    "signature of jpeg": images.JPEG_SIGNATURE,
    "gif": encode(PIXELS, "GIF"),
    "bmp": encode(PIXELS, "BMP"),
    "webp": encode(PIXELS, "WEBP"),
    "tiff": encode(PIXELS, "TIFF"),
    "half a png": PNG[: len(PNG) // 2],
    "half a jpeg": JPEG[: len(JPEG) // 2],
    "zeros": bytes(1000),
    "a png that is a jpeg": images.PNG_SIGNATURE + JPEG,
    "a jpeg that is a png": images.JPEG_SIGNATURE + PNG,
}


def assert_alone(bad):
    """None of these can be read, and their neighbours do not notice."""
    alone, valid = decode([PNG, JPEG])
    assert valid.all()
    files = [PNG, *bad, JPEG]
    decoded, valid = decode(files)
    assert valid.tolist() == [True] + [False] * len(bad) + [True]
    np.testing.assert_array_equal(decoded[[0, -1]], alone)
    assert not decoded[1:-1].any()


def test_bad_files_leave_their_neighbours_alone():
    assert_alone(list(BAD.values()))


@pytest.mark.parametrize("name", ["png", "jpeg", "progressive", "grey jpeg"])
def test_truncation_at_every_byte(name):
    content = GOOD[name]
    assert_alone([content[:length] for length in range(len(content))])


def test_damage_at_any_byte():
    generator = np.random.default_rng(0)
    files, is_png = [], []
    for content in (PNG, JPEG):
        for position in range(len(content)):
            damaged = bytearray(content)
            damaged[position] ^= generator.integers(1, 256)
            files += [bytes(damaged), content]
            is_png += [content is PNG] * 2
    decoded, valid = decode(files)
    whole = {True: decode([PNG])[0][0], False: decode([JPEG])[0][0]}
    for row in range(1, len(files), 2):
        assert valid[row]
        np.testing.assert_array_equal(decoded[row], whole[is_png[row]])
    assert np.isfinite(decoded).all()
    assert decoded.min() >= 0 and decoded.max() <= 1
    assert not decoded[~valid].any()
    # The checksums of a PNG show any damage.
    assert not valid[: 2 * len(PNG) : 2].any()


def test_batches_without_a_good_file():
    decoded, valid = decode([b"", b"text"])
    assert decoded.shape == (2, *SIZE, 3)
    assert not decoded.any() and not valid.any()
    decoded, valid = decode([])
    assert decoded.shape == (0, *SIZE, 3)
    assert valid.shape == (0,)


def test_one_pixel():
    pixel = np.array([[[10, 20, 30]]], "uint8")
    decoded, valid = decode([encode(pixel), encode(pixel[..., 0])])
    assert valid.all()
    expected = np.broadcast_to(np.array([10, 20, 30]) / 255, (*SIZE, 3))
    np.testing.assert_allclose(decoded[0], expected, atol=1e-6)
    np.testing.assert_allclose(decoded[1], 10 / 255, atol=1e-6)
    decoded, _ = decode([PNG], size=(1, 1))
    np.testing.assert_allclose(
        decoded[0, 0, 0] * 255, PIXELS.mean(axis=(0, 1)), atol=20
    )


def test_too_many_pixels(monkeypatch):
    monkeypatch.setattr(images, "MOST_PIXELS", 60)
    row = np.zeros((1, 61), "uint8")
    files = [PNG, JPEG, encode(row), encode(row, "JPEG"), encode(row[:, 1:])]
    _, valid = decode_images(tf.constant(files), SIZE)
    assert valid.numpy().tolist() == [True, True, False, False, True]


@pytest.mark.parametrize("interpolation", images.INTERPOLATIONS)
def test_resizing_against_pillow(interpolation):
    generator = np.random.default_rng(0)
    coarse = generator.integers(0, 256, (7, 9, 3), dtype="uint8")
    picture = PIL.Image.fromarray(coarse).resize((61, 83), resample=2)
    method = getattr(PIL.Image.Resampling, interpolation.upper())
    for size in ((20, 33), (120, 99)):  # smaller and larger
        decoded, _ = decode(
            [encode(picture)], size, interpolation=interpolation
        )
        expected = np.asarray(picture.resize(size[::-1], method)) / 255
        # Pillow rounds, after rows and after columns.
        np.testing.assert_allclose(decoded[0], expected, atol=1.2 / 255)
    with pytest.raises(AssertionError):
        other = {"bilinear": "bicubic", "bicubic": "bilinear"}[interpolation]
        decoded, _ = decode([encode(picture)], size, interpolation=other)
        np.testing.assert_allclose(decoded[0], expected, atol=1.2 / 255)


def test_resizing_to_the_same_size_changes_nothing():
    generator = np.random.default_rng(0)
    for size in ((28, 28), (17, 101)):
        batch = generator.random((2, *size, 3), dtype="float32")
        for interpolation in images.INTERPOLATIONS:
            resized = resize(batch, size, interpolation)
            np.testing.assert_array_equal(resized, batch)


class _Graph(tf.Module):
    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "image")])
    def serve(self, image):
        decoded, valid = decode_images(image, SIZE)
        return {"images": decoded, "valid": valid}


_OTHER_PROCESS = """
import sys
import numpy as np
import tensorflow as tf
files = [file.tobytes() for file in np.load("files.npz").values()]
model = tf.saved_model.load("model")
result = model.signatures["serving_default"](image=tf.constant(files))
# As TensorFlow Serving runs it.
with tf.compat.v1.Session(graph=tf.Graph()) as session:
    loaded = tf.compat.v1.saved_model.load(session, ["serve"], "model")
    signature = loaded.signature_def["serving_default"]
    in_session = session.run(
        signature.outputs["images"].name,
        {signature.inputs["image"].name: files},
    )
np.savez("results.npz", in_session=in_session, **result)
assert not {"preprocessing", "datasets"} & sys.modules.keys()
"""


def test_exported_and_run_elsewhere(tmp_path):
    graph = _Graph()
    model = tmp_path / "model"
    tf.saved_model.save(graph, str(model), {"serving_default": graph.serve})
    assert not xla_ops(model)
    files = [PNG, *BAD.values(), JPEG, *GOOD.values()]
    np.savez(
        tmp_path / "files.npz",
        *[np.frombuffer(file, "uint8") for file in files],
    )
    subprocess.run(
        [sys.executable, "-I", "-c", _OTHER_PROCESS],
        cwd=tmp_path,
        check=True,
        timeout=300,
    )
    results = np.load(tmp_path / "results.npz")
    decoded, valid = decode(files)
    np.testing.assert_array_equal(results["valid"], valid)
    np.testing.assert_array_equal(results["images"], decoded)
    np.testing.assert_array_equal(results["in_session"], decoded)
