"""The Android MjpegInputStream family: niqdev/ipcam-view, MjpegInputStreamDefault.java."""

import re

from tests.system.reference.base import EOI, SOI, Picture, Reader, Steps

PROPERTY = re.compile(r"\s*([^\s:=]+)[\s:=]\s*(.*?)\s*")


class Android(Reader):
    """Loads all before SOI as Java properties, whose keys are case-sensitive; without a length it looks for EOI."""

    def run(self) -> Steps:
        while True:
            head = self.take((yield from self.find(SOI))).decode("latin-1")
            properties = {match[1]: match[2] for line in head.splitlines() if (match := PROPERTY.fullmatch(line))}
            if "Content-Length" in properties:
                yield Picture((yield from self.exactly(int(properties["Content-Length"]))))
            else:
                yield Picture((yield from self.until(EOI)))
