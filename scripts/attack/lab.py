"""What every case needs: the program, seed clips, random numbers, a working folder."""
import random
import shutil
import tempfile
from pathlib import Path

from program import Limits, Program
from seeds import Seeds

ROOT = Path(__file__).resolve().parent.parent.parent


class Lab:
    def __init__(self, program, footage, seed, limits, keep):
        self.temporary = None if keep else tempfile.mkdtemp(prefix="attack-")
        self.place = Path(keep or self.temporary).resolve()
        self.place.mkdir(parents=True, exist_ok=True)
        self.seed, self.keep, self.footage = seed, keep, footage
        self.program = Program(str(program), str(self.place / "cache"), limits or Limits())
        self.seeds = Seeds(footage, self.place / "seeds")
        self.model = ROOT / "models" / "drinking-cooking.int8.onnx"

    def random(self, family, number):
        """Returns a generator that depends only on seed, family and case."""
        return random.Random(f"{self.seed}/{family}/{number}")

    def folder(self, family, number):
        folder = self.place / family / str(number)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        return folder

    def tidy(self, family, number):
        if not self.keep:
            shutil.rmtree(self.place / family / str(number), ignore_errors=True)

    def close(self):
        if self.temporary:
            shutil.rmtree(self.temporary, ignore_errors=True)
