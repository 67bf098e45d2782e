"""The real Chatterbox on tiny weights, and one in whose forward passes things go wrong on demand.

On a text that holds one of these words it goes wrong once (a folder that SPEEDD_TEST_FAULTS names remembers that):
``OOM``, ``NAN``, ``HANG`` and ``KILL`` in T3's transformer, a few tokens into the text; ``FLOWOOM``, ``FLOWNAN``,
``FLOWHANG`` and ``FLOWKILL`` in S3Gen's estimator. Its first load is killed half way if the folder holds ``load``.
``LARGE`` finds no room in S3Gen unless the reference is short; while the folder holds ``full``, neither does S3Gen
itself.
"""

import os
import signal
import time
from pathlib import Path

from speedd_test_engines import due_once, holds, note

from speedd.engines.base import find
from speedd.engines.chatterbox.settings import ChatterboxSettings

TOKENS_BEFORE = 3
"""So many have been said when T3 goes wrong: what it began is lost."""
SHORT_S = 3


def kill():
    os.kill(os.getpid(), signal.SIGKILL)


def out_of_memory():
    import torch  # noqa: PLC0415 - found only where the extra is installed

    return torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.")


def go_wrong(where, utterance, x, rows):
    """Do what a text asks for; ``rows`` of ``x`` are its own."""
    if due_once(f"{where}OOM", utterance):
        raise out_of_memory()
    if due_once(f"{where}KILL", utterance):
        kill()
    while due_once(f"{where}HANG", utterance):
        time.sleep(3600)
    if due_once(f"{where}NAN", utterance):
        x = x.clone()
        x[rows] = float("nan")
    return x


class FaultyEstimator:
    """S3Gen's estimator, with the utterance that it works on."""

    def __init__(self, estimator):
        self.estimator = estimator
        self.rendered = []

    def __call__(self, x, *rest):
        for utterance in self.rendered:
            x = go_wrong("FLOW", utterance, x, slice(None))
        return self.estimator(x, *rest)

    def __getattr__(self, name):
        return getattr(self.estimator, name)


class Noting:
    """The worker's source, with the utterances that came from it."""

    def __init__(self):
        self.source = None
        self.given = {}

    @property
    def closed(self):
        return self.source.closed

    def take(self, max_rows, *, block):
        taken = self.source.take(max_rows, block=block)
        for utterance in taken:
            note(utterance)
            self.given[utterance.seed] = utterance
        return taken


class ChatterboxWithMishaps:
    """Hands all on to the real engine but its source; each time it begins, the models may be others."""

    def __init__(self, engine):
        self.engine = engine
        self.noting = Noting()
        self.info = engine.info
        self.prewarm, self.budget, self.close = engine.prewarm, engine.budget, engine.close
        self.release_memory, self.fall_back = engine.release_memory, engine.fall_back

    def synthesize(self, source):
        self.noting.source = source
        self._put_faults_into_t3(self.engine._models.decoder)
        self._put_faults_into_s3gen(self.engine._models.s3gen)
        return self.engine.synthesize(self.noting)

    def _put_faults_into_t3(self, decoder):
        backbone = decoder._t3.backbone
        forward = type(backbone).forward

        def faulty(x, positions, attend):
            if x.shape[1] == 1:  # a step, no prompt
                for slot, row in enumerate(decoder._rows):
                    if row and len(row.tokens) >= TOKENS_BEFORE:
                        rows = slice(slot * decoder._rows_each, (slot + 1) * decoder._rows_each)
                        x = go_wrong("", self.noting.given[row.request.seed], x, rows)
            return forward(backbone, x, positions, attend)

        backbone.forward = faulty

    def _put_faults_into_s3gen(self, s3gen):
        if not isinstance(s3gen.flow.estimator, FaultyEstimator):
            s3gen.flow.estimator = FaultyEstimator(s3gen.flow.estimator)
        render = type(s3gen).render

        def noted(rows):
            rendered = [self.noting.given[row.seed] for row in rows]
            if (
                any(holds(utterance, "LARGE") for utterance in rendered)
                and self.engine._models.placement.reference_s > SHORT_S
            ):
                raise out_of_memory()
            s3gen.flow.estimator.rendered = rendered
            return render(s3gen, rows)

        s3gen.render = noted


class TinyFactory:
    """The real engine, with S3Gen in the size of its weights."""

    settings = ChatterboxSettings
    rank = 0

    def describe(self, options):
        return find("chatterbox").describe(options)

    def check_sample(self, sample, options):
        find("chatterbox").check_sample(sample, options)

    def load(self, options):
        from speedd.engines.chatterbox.library_output import import_quietly  # noqa: PLC0415

        import_quietly()
        from chatterbox_bench.generated import accept_tiny_weights  # noqa: PLC0415

        accept_tiny_weights()
        self.spoil()
        return find("chatterbox").load(options)

    def spoil(self):
        """Leave it as it is."""


class FaultyFactory(TinyFactory):
    def load(self, options):
        return ChatterboxWithMishaps(super().load(options))

    def spoil(self):
        from speedd.engines.chatterbox.memory import placement  # noqa: PLC0415

        fault_folder = Path(os.environ["SPEEDD_TEST_FAULTS"])
        if (fault_folder / "load").exists():
            (fault_folder / "load").unlink()
            placement.load_s3gen = lambda *_, **__: kill()
        if (fault_folder / "full").exists():
            from_model = placement.S3Gen.from_model

            def tight(model, **settings):
                if settings["reference_s"] > SHORT_S and (fault_folder / "full").exists():
                    raise out_of_memory()
                return from_model(model, **settings)

            placement.S3Gen.from_model = tight


TINY = TinyFactory()
FAULTY = FaultyFactory()
