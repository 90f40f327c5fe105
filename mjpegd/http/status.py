"""What the daemon says about itself: cameras, health, statistics, and uStreamer's `/state`."""

from time import monotonic
from typing import Any

from msgspec import structs

from mjpegd import __version__
from mjpegd.camera import Camera
from mjpegd.condition import HEALTHY, State
from mjpegd.config import presets
from mjpegd.http.site import Reload
from mjpegd.http.visit import Visit
from mjpegd.masking import mask
from mjpegd.rendition import Rendition

Report = dict[str, Any]


def cameras(visit: Visit) -> Report:
    """Names, states and addresses of all cameras; what a page or a script needs to show them."""
    return {"cameras": [_address(visit, camera) for camera in visit.cameras.values()]}


def camera(visit: Visit, camera: Camera) -> Report:
    """What a camera is, what was asked and granted, how it is and since when."""
    named = {name: structs.asdict(each) for name, each in presets.renditions(visit.site.config).items()}
    return {
        **_address(visit, camera),
        **_description(camera),
        "viewers": len(camera.audience),
        "named_renditions": named,
    }


def _address(visit: Visit, camera: Camera) -> Report:
    return {
        "name": camera.name,
        **_state(camera),
        "stream": f"{visit.caller.prefix}/stream/{camera.name}.mjpg",
        "snapshot": f"{visit.caller.prefix}/snapshot/{camera.name}.jpg",
    }


def health(visit: Visit) -> tuple[int, Report]:
    """200 while the daemon is well; a lost camera is told, but is no reason to restart it, a stuck thread is one.

    Who may not look at cameras learns no more than that.
    """
    stuck = visit.site.cameras.stuck()
    report: Report = {"status": "stuck" if stuck else "ok"}
    if visit.principal.may("view"):
        report["cameras"] = {name: _state(camera) for name, camera in visit.cameras.items()}
    return (503 if stuck else 200), report


def camera_health(camera: Camera) -> tuple[int, Report]:
    """200 while the camera is live, or would be if somebody watched, else 503; for monitors that read no more."""
    return 200 if camera.capture.status.state in HEALTHY else 503, {"camera": camera.name, **_state(camera)}


def stats(visit: Visit) -> Report:
    """Everything that is counted and measured, of the cameras that the caller may know of."""
    site = visit.site
    return {
        "version": __version__,
        "started": round(site.started, 3),
        "uptime": round(monotonic() - site.started_monotonic, 3),
        "viewers": sum(len(camera.audience) for camera in visit.cameras.values()),
        "key": visit.principal.name if visit.principal.proof else None,
        "watching": site.clients.has(visit.tab),
        "reload": site.reload and _reload(site.reload),
        "cameras": {name: _camera_stats(camera) for name, camera in visit.cameras.items()},
    }


def _reload(reload: Reload) -> Report:
    return {
        "at": round(reload.at, 3),
        "ok": not reload.problems,
        "problems": reload.problems,
        "restart_needed": reload.restart_needed,
    }


def ustreamer_state(camera: Camera) -> Report:
    """`GET /state` as uStreamer answers it, for PiKVM-like tools."""
    capture = camera.capture
    width, height = _granted_size(camera)
    return {
        "ok": True,
        "result": {
            "instance_id": "",
            "encoder": {
                "type": "CPU" if capture.encode_time else "HW",
                "quality": camera.config.quality,
            },
            "source": {
                "resolution": {"width": width, "height": height},
                "online": camera.is_live,
                "desired_fps": round(camera.config.fps),
                "captured_fps": round(capture.rate.per_second()),
            },
            "stream": {"queued_fps": 0, "clients": len(camera.audience), "clients_stat": {}},
        },
    }


def _state(camera: Camera) -> Report:
    status = camera.capture.status
    return {"state": status.state, "since": round(status.since, 3), "reason": status.reason}


def _granted_size(camera: Camera) -> tuple[int, int]:
    granted = camera.capture.granted
    return (granted.width, granted.height) if granted else (0, 0)


def _description(camera: Camera) -> Report:
    """Never the source itself: even without its password it tells of the network behind us."""
    capture, config = camera.capture, camera.config
    granted, trouble = capture.granted, capture.trouble
    return {
        "source": capture.kind,
        "device": granted and mask(granted.device),
        "model": (granted and granted.name) or None,
        "requested": {"width": config.width, "height": config.height, "fps": config.fps},
        "granted": granted
        and {
            "width": granted.width,
            "height": granted.height,
            "fps": round(granted.fps, 3),
            "format": granted.format,
            "decoder": granted.decoder or None,
        },
        "relays": len(granted.via) if granted else 0,
        "on_demand": config.on_demand,
        "paused": camera.demand.paused,
        "fps": round(capture.rate.per_second(), 2) if capture.status.state is State.LIVE else 0.0,
        "lag": round(capture.lag, 3),
        "reconnects": capture.reconnects,
        "last_error": trouble and {"state": trouble.state, "since": round(trouble.since, 3), "reason": trouble.reason},
        "changes": dict(capture.changes),
    }


def _camera_stats(camera: Camera) -> Report:
    capture, audience = camera.capture, camera.audience
    sent = audience.total()
    return {
        **_state(camera),
        **_description(camera),
        "jpeg_bytes": capture.last_size,
        "frames": {"captured": capture.captured, "skipped": capture.skipped, "broken": capture.broken},
        "restarts": max(0, capture.opened - 1),
        "viewers": len(audience),
        "visits": audience.visits,
        "encodes": camera.renditions.encodes,
        "renditions": [_rendition(each) for each in camera.renditions],
        "sent": {"frames": sent.frames, "skipped": sent.skipped, "bytes": sent.bytes},
        "milliseconds": {
            "capture": capture.capture_time.percentiles(),
            "encode": capture.encode_time.percentiles(),
            "wakeup": camera.ring.wakeup.percentiles(),
            "send": camera.ring.send.percentiles(),
        },
    }


def _rendition(rendition: Rendition) -> Report:
    newest = rendition.ring.newest
    return {
        "rendition": rendition.look.name,
        "viewers": rendition.watchers,
        "fps": round(rendition.rate.per_second(), 2),
        "encodes": rendition.encodes,
        "width": newest and newest.width,
        "height": newest and newest.height,
        "jpeg_bytes": newest and len(newest.jpeg),
        "milliseconds": {"encode": rendition.encode_time.percentiles()},
    }
