"""Cross-origin reading, for the origins that `server.cors_origins` names; without any, browsers forbid it.

A star lets every page read what needs no cookie. Fetch standard 3.2; docs/wire-format.md on what pages ask for.
"""

from collections.abc import Mapping

from mjpegd.config.schema import ServerConfig

EXPOSED = "ETag, Date, X-Timestamp, X-Frame-Id"
ANY = "*"
PREFLIGHT = {
    "Access-Control-Allow-Headers": "Authorization, X-API-Key, Content-Type, If-None-Match",
    "Access-Control-Max-Age": "600",
}


def headers(settings: ServerConfig, request_headers: Mapping[str, str]) -> dict[str, str]:
    """What every answer says to the page that asked."""
    if not settings.cors_origins:
        return {}
    origin = request_headers.get("origin", "")
    if origin in settings.cors_origins and origin != ANY:
        allowed = {"Access-Control-Allow-Origin": origin, "Access-Control-Allow-Credentials": "true"}
    elif ANY in settings.cors_origins:
        allowed = {"Access-Control-Allow-Origin": ANY}
    else:
        return {"Vary": "Origin"}
    named = allowed["Access-Control-Allow-Origin"]
    return {**allowed, "Access-Control-Expose-Headers": EXPOSED, "Timing-Allow-Origin": named, "Vary": "Origin"}
