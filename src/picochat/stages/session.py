"""One training of a stage, from a model and rows to a checkpoint. Base and SFT differ only in what they hand in."""

from __future__ import annotations

from contextlib import AbstractContextManager

import torch

from picochat.artifacts import layout
from picochat.checkpoint.fingerprint import require_fingerprint
from picochat.checkpoint.format import CheckpointManifest
from picochat.checkpoint.rng import seed_rng
from picochat.core.errors import refuse
from picochat.core.fs import make_dir
from picochat.data.batches import BatchStream
from picochat.data.order import SampleOrder
from picochat.inference.scoring import ValidationResult, score_validation
from picochat.model import sizing
from picochat.stages.assignment import Assignment, Outcome, build_fingerprint
from picochat.stages.branch import copy_ledger, require_branch
from picochat.stages.contract import StageContext
from picochat.stages.samples import SampleWriter
from picochat.stages.training_report import TrainingFacts, describe_training
from picochat.training.ema import Ema
from picochat.training.hooks import Hook
from picochat.training.keeper import Keeper, Resumed, rng_digest, state_digest
from picochat.training.ledger import Ledger, SilentLedger, require_every_step
from picochat.training.machine import Machine, choose_compile, compile_blocks
from picochat.training.optim import OptimizerSet
from picochat.training.recipe import resolve_recipe, split_step
from picochat.training.recording import (
    CheckpointHook,
    LogHook,
    ReplicaHook,
    ResumeHook,
    SampleHook,
    ValidationHook,
)
from picochat.training.schedule import lr_factor
from picochat.training.state import TrainState
from picochat.training.trainer import GuardStop, LoopParts, Trainer


class Session:
    """Builds the trainer of an assignment, resumes it when there is something to resume, and runs it to the end."""

    def __init__(self, ctx: StageContext, machine: Machine, work: Assignment) -> None:
        self._ctx, self._machine, self._work = ctx, machine, work
        seed_rng(ctx.seed)
        self._samples = SampleWriter(ctx, work, machine.autocast)
        self._saved: CheckpointManifest | None = None
        self._save_s: list[float] = []
        self._world = machine.world
        self._world.ranks.on_main(f"the folder of {work.stage}", lambda: make_dir(ctx.store.path(work.stage)))
        self._parameters = sizing.count_parameters(work.model.config)
        self._recipe = resolve_recipe(work.loop, self._parameters.total)
        self._flops = sizing.flops_per_token(work.model.config, work.loop.seq_len)
        rows = self._recipe.tokens_per_step // work.loop.seq_len
        self._micro_batch = split_step(rows, work.loop.micro_batch_size, self._world.size)
        fingerprint = build_fingerprint(work, self._recipe, machine, ctx.seed, self._micro_batch[0])
        self._keeper = Keeper(ctx.store.path(work.stage), work.stage, ctx.store.run_digest(), fingerprint)
        self._strategy = machine.build_strategy()
        self._trainer = self._build_trainer()
        self._resumed = self._resume()
        self._branched = self._resumed is None and self._branch()
        self._compile_reason = self._compile()
        self._compare_conditions()

    def run(self) -> Outcome:
        """Trains, checks that every step is in the ledger, and hands over the chosen weights.

        Raises `run.stopped` (a checkpoint is saved) and `training.loss_guard` (likewise).
        """
        work, trainer, clock = self._work, self._trainer, self._ctx.clock
        validation = ValidationHook(work.stage, work.loop.eval_every, self._score, self._ctx.events, self._keep_best)
        log = LogHook(
            work.stage, work.loop.log_every, self._flops, self._ctx.events, self._ctx.live, self._ctx.progress, clock
        )
        hooks: list[Hook] = [
            *self._resume_hooks(),
            log,
            validation,
            SampleHook(work.loop.sample_every, self._sample),
            ReplicaHook(self._world.ranks.config.replica_check_every),
            CheckpointHook(work.loop.save_every, self._save, self._leaves_at_once),
        ]
        trainer.hooks = hooks
        started, steps_before = clock.monotonic(), trainer.state.step
        try:
            with self._world.watching():
                stopped = trainer.fit()
        except GuardStop as stop:
            refuse("training.loss_guard", f"{work.stage}: {stop}; the checkpoint of step {trainer.state.step} is saved")
        finally:
            trainer.loop.ledger.close()
        if stopped:
            refuse(
                "run.stopped",
                f"{work.stage} stopped at step {trainer.state.step:,} of {trainer.loop.steps:,}: {stopped}",
                why="no checkpoint was saved, as was asked; the last one stands" if self._ctx.stop.now else None,
            )
        seconds = clock.monotonic() - started
        self._world.ranks.on_main("the ledger", self._require_every_step)
        with self._world.watching():
            found = self._hand_over(validation)
            ema = self._ema_validation()
        tokens = (trainer.state.step - steps_before) * trainer.batches.tokens_per_step
        return self._outcome(found, ema, seconds, tokens)

    def _require_every_step(self) -> None:
        require_every_step(self._ledger_path, self._trainer.loop.steps)

    def _resume_hooks(self) -> list[Hook]:
        """The first of all hooks, so that a checkpoint of the same step already holds what it found."""
        if self._resumed is None:
            return []
        ledger, resumed = self._trainer.loop.ledger, self._resumed
        differences = [difference._asdict() for difference in resumed.differences]
        return [
            ResumeHook(
                self._work.stage, self._trainer.state, ledger, resumed.may_be_exact, differences, self._ctx.events
            )
        ]

    @property
    def _ledger_path(self):
        return self._ctx.store.path(f"{self._work.stage}/{layout.LEDGER}")

    def _build_trainer(self) -> Trainer:
        work, recipe, world = self._work, self._recipe, self._world
        micro_batch_size, micro_batches = self._micro_batch
        batches = BatchStream(
            work.rows,
            SampleOrder(max(1, len(work.rows)), self._ctx.seed).samples_at,
            micro_batch_size=micro_batch_size,
            micro_batches=micro_batches,
            rank=world.rank,
            world_size=world.size,
            document_mask=work.loop.document_mask,
            device=world.device,
            prefetch=work.loop.prefetch_steps,
        )
        self._strategy.shard(work.model, work.model.blocks)
        optimizer = OptimizerSet(work.model, recipe.optim)
        optimizer.load_state_tensors(work.optimizer_state)
        work.model.checkpoint_blocks = work.loop.checkpoint_blocks
        trainer = Trainer(
            work.model, work.objective(recipe), optimizer, batches, world, self._loop_parts(), [], TrainState()
        )
        trainer.loop.state_digest = self._state_digest
        return trainer

    def _loop_parts(self) -> LoopParts:
        loop, recipe = self._work.loop, self._recipe
        return LoopParts(
            steps=recipe.steps,
            lr_factor=lambda step: lr_factor(step, recipe.steps, recipe.warmup_steps, loop.schedule, loop.final_frac),
            lr=recipe.optim.lr,
            clip=loop.clip,
            ledger=self._open_ledger(None),
            strategy=self._strategy,
            ema=Ema(self._work.model, loop.ema_decay) if loop.ema_decay else None,
            autocast=self._machine.autocast,
            stop_reason=self._stop_reason,
            rng_digest=rng_digest,
            clock=self._ctx.clock,
        )

    def _stop_reason(self) -> str:
        replay = self._ctx.replay
        if replay is not None and self._trainer.state.step >= replay.last_step:
            return "replayed as far as was asked"
        return self._ctx.stop.reason

    def _leaves_at_once(self) -> bool:
        """Rank 0 reads the request, and all of them either save or do not."""
        return self._world.any(self._ctx.stop.now)

    def _compare_conditions(self) -> None:
        """A replay names what differs before its first step. Raises `resume.fingerprint`."""
        if (replay := self._ctx.replay) is not None:
            accept, elastic = replay.policy.accept, replay.policy.elastic
            replay.differences.extend(
                require_fingerprint(replay.fingerprint, self._keeper.fingerprint, accept, elastic)
            )

    def _open_ledger(self, resumed_step: int | None) -> Ledger:
        return Ledger(self._ledger_path, resumed_step) if self._world.is_main else SilentLedger()

    def _state_digest(self, step: int) -> str | None:
        every = self._work.loop.state_digest_every
        due = step == self._recipe.steps or (every and step % every == 0)
        asked = self._world.is_main or not self._strategy.replicated
        return state_digest(self._trainer) if due and asked else None

    def _resume(self) -> Resumed | None:
        if not self._ctx.resume:
            return None
        resumed = self._keeper.restore(self._trainer, self._ctx.resume_policy)
        if resumed is None:
            return None
        if resumed.warning:
            self._ctx.events.emit("warning", self._work.stage, code="checkpoint.recovered", text=resumed.warning)
        self._trainer.loop.ledger = self._open_ledger(resumed.state.step)
        self._ctx.progress.say(f"resuming {self._work.stage} at step {resumed.state.step:,} of {self._recipe.steps:,}")
        for difference in resumed.differences:
            self._ctx.progress.say(f"{self._work.stage}: {difference.describe()}")
        return resumed

    def _branch(self) -> bool:
        """Goes on from a longer training, where the assignment names one. Raises `branch.conditions`."""
        trunk = self._work.trunk
        if trunk is None:
            return False
        if self._ctx.replay is not None:
            refuse(
                "reproduce.steps",
                f"the first steps of this training are those of {trunk.checkpoint}, which it went on from",
                fix="choose --from one of its own checkpoints, or reproduce the training that it branched from",
            )
        self._keeper.branch(self._trainer, trunk.checkpoint, require_branch)
        step = self._trainer.state.step
        self._world.ranks.on_main("the ledger before the branch", lambda: copy_ledger(trunk, step, self._ledger_path))
        self._trainer.loop.ledger = self._open_ledger(step)
        self._ctx.progress.say(f"{self._work.stage} branches off at step {step:,} of {trunk.checkpoint}")
        return True

    def _compile(self) -> str:
        """Decides once a stage; a resume or a branch keeps the decision that its checkpoint was made with."""
        wanted = self._work.compile
        if self._resumed:
            wanted = "on" if self._resumed.compile else "off"
        elif self._branched:
            wanted = "on" if self._keeper.fingerprint["compile_mode"] == "block" else "off"
        elif self._ctx.replay:
            wanted = "on" if self._ctx.replay.fingerprint.get("compile_mode") == "block" else "off"
        tokens = self._recipe.steps * self._recipe.tokens_per_step
        chosen, reason = choose_compile(wanted, self._machine, tokens * self._flops)
        if chosen:
            compile_blocks(self._work.model)
        self._keeper.fingerprint["compile_mode"] = "block" if chosen else "eager"
        return "as in the checkpoint" if self._resumed or self._branched or self._ctx.replay else reason

    def _score(self) -> ValidationResult:
        with _eager():
            work, in_step = self._work, not self._strategy.replicated
            rows = work.loop.micro_batch_size
            found = score_validation(
                work.model, work.validation, rows, self._machine.autocast, self._world, in_step=in_step
            )
            self._strategy.settle()
            return found

    def _save(self) -> None:
        trainer, every = self._trainer, self._work.loop.keep_every
        if every and trainer.state.step % every == 0:
            # Before the checkpoint that a resume goes on from, so that a crash in between repeats this save as well.
            self._publish(layout.kept_checkpoint(trainer.state.step))
        self._saved = self._publish(layout.CHECKPOINT)
        self._ctx.events.emit(
            "checkpoint_saved", self._work.stage, step=trainer.state.step, weights_digest=self._saved.weights_digest
        )

    def _keep_best(self) -> None:
        if self._work.loop.keep == "best":
            self._publish(layout.BEST)

    def _publish(self, name: str) -> CheckpointManifest:
        """One durable save, whose time is counted."""
        started = self._ctx.clock.monotonic()
        self._trainer.loop.ledger.sync()
        saved = self._keeper.save(self._trainer, name=name)
        self._save_s.append(self._ctx.clock.monotonic() - started)
        return saved

    def _hand_over(self, validation: ValidationHook) -> ValidationResult:
        """The chosen weights go into `checkpoint/`: what is judged is what ships."""
        assert validation.last is not None
        state = self._trainer.state
        if self._work.loop.keep == "last" or state.best_step == state.step:
            return validation.last
        self._keeper.take_best(self._trainer)
        self._save()
        return self._score()

    def _sample(self, step: int) -> None:
        """Rank 0 asks its replica; a model in slices answers on all ranks at once."""
        with _eager():
            replies = [] if self._strategy.replicated else self._samples.answer()
            self._strategy.settle()

        def write() -> None:
            with _eager():
                self._samples.write(step, replies or self._samples.answer())

        self._world.ranks.on_main(f"samples of step {step:,}", write)

    def _outcome(self, found: ValidationResult, ema: ValidationResult | None, seconds: float, tokens: int) -> Outcome:
        """What the stage reports; only rank 0 has the ledger to report from."""
        assert self._saved is not None
        if not self._world.is_main:
            return Outcome({}, found, self._saved.weights_digest)
        facts = TrainingFacts(
            recipe=self._recipe,
            machine=self._machine.facts()
            | {"compile": self._keeper.fingerprint["compile_mode"], "compile_reason": self._compile_reason},
            state=self._trainer.state,
            epochs=self._trainer.batches.epoch,
            losses=[float.fromhex(line["loss"]) for line in require_every_step(self._ledger_path, self._recipe.steps)],
            seconds=seconds,
            tokens=tokens,
            save_s=self._save_s,
            data_wait_s=self._trainer.data_wait_s,
            validation=found,
            ema=ema,
            saved=self._saved,
        )
        return Outcome(describe_training(self._work, facts), found, self._saved.weights_digest)

    def _ema_validation(self) -> ValidationResult | None:
        ema = self._trainer.loop.ema
        if ema is None:
            return None
        with ema.applied():
            return self._score()


def _eager() -> AbstractContextManager:
    """Measuring runs the blocks uncompiled: their shapes and modes are others, and each would be compiled once more."""
    return torch.compiler.set_stance("force_eager")
