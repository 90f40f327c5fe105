import sys, os
from pathlib import Path
from mjpegd.config.load import load
from mjpegd import app
def main():
    sets=[sys.argv[i+1] for i,a in enumerate(sys.argv) if a=='--set']
    app.run(load(None, os.environ, sets))
