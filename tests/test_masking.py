"""What is hidden in what is shown."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mjpegd.masking import mask

HIDDEN = "hidden"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("rtsp://me:hidden@camera/stream", "rtsp://me:***@camera/stream"),
        ("RTSP://me:hidden@camera:554/stream", "RTSP://me:***@camera:554/stream"),
        ("rtsp://me:hidden@hidden@camera/", "rtsp://me:***@camera/"),
        ("rtsp://me:hid:den:hidden@camera/", "rtsp://me:***@camera/"),
        ("rtsp://me:h%40idden$&+,;=!*'()hidden@camera/", "rtsp://me:***@camera/"),
        ("rtsp://:hidden@camera/", "rtsp://:***@camera/"),
        ("rtsp://me:hidden@[fe80::1]:554/", "rtsp://me:***@[fe80::1]:554/"),
        ("http+unix://me:hidden@camera/", "http+unix://me:***@camera/"),
        ("snapshot+http://me:hidden@camera/now.jpg", "snapshot+http://me:***@camera/now.jpg"),
        ("cannot open rtsp://me:hidden@camera/: refused", "cannot open rtsp://me:***@camera/: refused"),
        ("http://a:hidden@b/ http://c:hidden@d/", "http://a:***@b/ http://c:***@d/"),
        ("http://a:hidden@b,http://c:hidden@d", "http://a:***@b,http://c:***@d"),
        ("http://camera/?password=hidden", "http://camera/?password=***"),
        ("http://camera/?PWD=hidden&channel=1", "http://camera/?PWD=***&channel=1"),
        ("http://camera/?user=me&pwd=hidden", "http://camera/?user=me&pwd=***"),
        ("/snapshot?api_key=hidden", "/snapshot?api_key=***"),
        ("/a?access-token=hid@den&x=1#top", "/a?access-token=***&x=1#top"),
        ("/a;auth=hidden;b=c", "/a;auth=***;b=c"),
        ("/a?x=1&X-Amz-Signature=hidden&y=2", "/a?x=1&X-Amz-Signature=***&y=2"),
        ("/a?secret=hidden\nnext", "/a?secret=***\nnext"),
        ("http://me:hidden@camera/?token=hidden", "http://me:***@camera/?token=***"),
    ],
)
def test_secrets_are_masked(text: str, expected: str) -> None:
    """The password of every URL and the value of every secret-looking parameter become `***`, and nothing else."""
    assert expected == mask(text)


@pytest.mark.parametrize("odd", "/?#")
def test_password_that_should_have_been_encoded(odd: str) -> None:
    """A password with a character that has to be percent-encoded makes no valid URL, and is masked nevertheless."""
    assert HIDDEN not in mask(f"rtsp://me:{HIDDEN}{odd}{HIDDEN}@camera/stream")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "auto",
        "/dev/v4l/by-id/usb-046d_0825-video-index0",
        "usb:046d:0825:SERIAL",
        "rtsp://camera:554/stream",
        "http://camera/path:with@odd/characters",
        "http://camera/?mail=me@example.org&channel=1",
        "http://camera/?keyframe=1&author=me",
        "viewer left 192.0.2.7:51234",
        "me:secret@nowhere",
        "Fri, 20 Nov 2026 13:30:00 GMT",
    ],
)
def test_the_rest_is_left_alone(text: str) -> None:
    """What is no secret is shown as it is."""
    assert text == mask(text)


@given(st.text(st.characters(max_codepoint=0x2FF, exclude_characters="/?#", exclude_categories=["Z", "Cc"])))
def test_no_password_is_odd_enough(middle: str) -> None:
    """No password without a character that ends a URL's authority is shown, whatever it is made of."""
    assert mask(f"rtsp://me:{HIDDEN}{middle}@camera/") == "rtsp://me:***@camera/"


@given(st.text(max_size=60))
def test_masking_twice_changes_nothing(text: str) -> None:
    """What is masked stays as it is."""
    assert mask(text) == mask(mask(text))
