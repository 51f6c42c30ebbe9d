"""The registry of reason codes: exit code, why it matters, what mends it.

Exit codes: 2 usage, configuration or a path that does not exist; 3 blocked by preflight or gate; 4 an input or
artifact is unusable; 5 device, memory, disk, launch or a lost rank; 6 stopped by the training guard; 75 stopped on
request, resumable.
"""

from __future__ import annotations

from picochat.core.reason import Reason
from picochat.core.reasons_engine import ENGINE_REASONS
from picochat.core.reasons_export import EXPORT_REASONS
from picochat.core.reasons_foreign import FOREIGN_REASONS
from picochat.core.reasons_handover import HANDOVER_REASONS
from picochat.core.reasons_launch import LAUNCH_REASONS
from picochat.core.reasons_of_data import REASONS_OF_DATA
from picochat.core.reasons_plan import PLAN_REASONS
from picochat.core.reasons_prediction import PREDICTION_REASONS
from picochat.core.reasons_process import PROCESS_REASONS
from picochat.core.reasons_serving import SERVING_REASONS
from picochat.core.reasons_web import WEB_REASONS

REASONS: dict[str, Reason] = {
    **ENGINE_REASONS,
    **EXPORT_REASONS,
    **FOREIGN_REASONS,
    **HANDOVER_REASONS,
    **LAUNCH_REASONS,
    **REASONS_OF_DATA,
    **PLAN_REASONS,
    **PREDICTION_REASONS,
    **PROCESS_REASONS,
    **SERVING_REASONS,
    **WEB_REASONS,
    # --- artifact: a file of a run
    "artifact.changed": Reason(
        4,
        "a later stage only trusts the bytes that an earlier stage recorded",
        "restore the file, or run the stage that writes it again",
    ),
    "artifact.missing": Reason(
        4,
        "the stage needs what an earlier stage wrote",
        "run the earlier stage first: picochat run PROFILE --out-dir RUN --resume",
    ),
    "artifact.schema": Reason(
        4,
        "the file does not follow the schema of this version",
        "run the stage that writes it again with this version of Picochat",
    ),
    # --- benchmark: published test sets, read from local files
    "benchmark.answer_base": Reason(
        4,
        "keys that are shifted by one turn every right answer into a wrong one",
        "say which integer stands for the first option: --set answer_base=0 or --set answer_base=1",
    ),
    "benchmark.empty": Reason(
        4, "a score over no items is no evidence", "put the benchmark's files, as published, into the folder"
    ),
    "benchmark.layout": Reason(
        4,
        "files are read in the layouts in which they are published, and nothing is guessed",
        "put the files, as published, into the folder: docs/how-to/add-a-benchmark.md shows the layouts",
    ),
    "benchmark.missing": Reason(
        2,
        "benchmarks are read from local files and never downloaded during an eval",
        "give the folder that holds the benchmark's files",
    ),
    "benchmark.row": Reason(
        4, "one misread row shifts every score that is compared with it", "restore the file as published"
    ),
    "benchmark.shots": Reason(
        4,
        "fewer examples than the score says it was made with is another benchmark",
        "put the split that examples come from beside the items, or ask with fewer: --shots N",
    ),
    # --- chat
    "chat.empty": Reason(
        4, "a file without rows is a mistake, not an empty set that is ready", "write at least one row to the file"
    ),
    "chat.role": Reason(
        4, "only system, user, assistant and tool have a place in the chat template", "correct the role of the message"
    ),
    "chat.row": Reason(4, "a row dropped in silence is a lesson nobody knows is missing", "mend the line named above"),
    # --- checkpoint
    "checkpoint.digest": Reason(
        4,
        "the weights digest names the weights that were judged",
        "evaluation and serving never fall back; `picochat run PROFILE --out-dir RUN --resume` may take checkpoint.previous",
    ),
    "checkpoint.extra_file": Reason(
        4,
        "a checkpoint holds the files that its manifest lists and no other",
        "remove the file that does not belong there",
    ),
    "checkpoint.format": Reason(
        4, "another format version is never guessed at", "use the version of Picochat that wrote the checkpoint"
    ),
    "checkpoint.hash": Reason(
        4,
        "the bytes are not those that were saved",
        "evaluation and serving never fall back; `picochat run PROFILE --out-dir RUN --resume` may take checkpoint.previous",
    ),
    "checkpoint.incomplete": Reason(
        4,
        "the manifest is written last, so a folder without one was never finished",
        "evaluation and serving never fall back; `picochat run PROFILE --out-dir RUN --resume` may take checkpoint.previous",
    ),
    "checkpoint.manifest": Reason(
        4,
        "the manifest does not follow the schema of this version",
        "evaluation and serving never fall back; `picochat run PROFILE --out-dir RUN --resume` may take checkpoint.previous",
    ),
    "checkpoint.manifest_digest": Reason(
        4,
        "the manifest is not the text that was written with it",
        "evaluation and serving never fall back; `picochat run PROFILE --out-dir RUN --resume` may take checkpoint.previous",
    ),
    "checkpoint.manifest_json": Reason(
        4,
        "the manifest is strict JSON: one object, no duplicate keys, no NaN",
        "evaluation and serving never fall back; `picochat run PROFILE --out-dir RUN --resume` may take checkpoint.previous",
    ),
    "checkpoint.manifest_size": Reason(
        4, "a manifest is a few kilobytes; a large one is not read", "restore the checkpoint from a copy"
    ),
    "checkpoint.missing": Reason(
        4, "the command reads a saved checkpoint", "run the stage first: picochat run PROFILE --out-dir RUN --resume"
    ),
    "checkpoint.missing_file": Reason(
        4,
        "the manifest lists a file that is not there",
        "evaluation and serving never fall back; `picochat run PROFILE --out-dir RUN --resume` may take checkpoint.previous",
    ),
    "checkpoint.name": Reason(
        4, "only the plain file names of the format are ever opened", "restore the checkpoint from a copy"
    ),
    "checkpoint.nonfinite": Reason(
        4,
        "weights or moments with NaN or infinity produce nothing but NaN",
        "evaluation and serving never fall back; `picochat run PROFILE --out-dir RUN --resume` may take checkpoint.previous",
    ),
    "checkpoint.other_run": Reason(
        4, "a checkpoint of another run was trained from other inputs", "resume in the run folder that wrote it"
    ),
    "checkpoint.poisoned": Reason(
        6,
        "a checkpoint with NaN or infinity would replace a good one",
        "resume from the last checkpoint with a lower learning rate",
    ),
    "checkpoint.rng": Reason(
        4,
        "a generator that is not restored draws other numbers than the run would have",
        "resume with the same devices and generators, or start a new run",
    ),
    "checkpoint.size": Reason(
        4,
        "the file is not as long as it was when it was saved",
        "evaluation and serving never fall back; `picochat run PROFILE --out-dir RUN --resume` may take checkpoint.previous",
    ),
    "checkpoint.special_file": Reason(
        4, "links, pipes and devices are never followed or waited for", "replace it by the regular file that was saved"
    ),
    "checkpoint.state": Reason(
        4,
        "the parts of one checkpoint belong to one step",
        "evaluation and serving never fall back; `picochat run PROFILE --out-dir RUN --resume` may take checkpoint.previous",
    ),
    "checkpoint.step": Reason(
        4,
        "a step is a whole number, at least 0",
        "evaluation and serving never fall back; `picochat run PROFILE --out-dir RUN --resume` may take checkpoint.previous",
    ),
    "checkpoint.tensor_dtype": Reason(
        4, "the tensors are of another type than the model's", "resume with the precision that the run was started with"
    ),
    "checkpoint.tensor_names": Reason(
        4, "the tensors are not those of the model", "resume with the model configuration that the run was started with"
    ),
    "checkpoint.tensor_shape": Reason(
        4,
        "the tensors are of another shape than the model's",
        "resume with the model configuration that the run was started with",
    ),
    "checkpoint.tensors": Reason(
        4,
        "the tensor file does not follow the safetensors layout",
        "evaluation and serving never fall back; `picochat run PROFILE --out-dir RUN --resume` may take checkpoint.previous",
    ),
    "checkpoint.unreadable": Reason(4, "the file is there and cannot be opened", "give the user read permission"),
    "checkpoint.world_size": Reason(
        4,
        "each rank of the run saved its own generators",
        "evaluation and serving never fall back; `picochat run PROFILE --out-dir RUN --resume` may take checkpoint.previous",
    ),
    # --- compare: runs beside each other
    "compare.questions": Reason(
        4,
        "two rates only say something about each other on the same rows",
        "compare runs that were asked the same rows: build them from the same pack, with the same dataset settings",
    ),
    "compare.rows": Reason(
        4,
        "a comparison is computed from the stored replies, and these do not give what is stored beside them",
        "answer the rows again: picochat eval skills RUN",
    ),
    "compare.runs": Reason(
        2, "a comparison needs two different runs or more", "give each run once: picochat eval compare RUN_A RUN_B"
    ),
    # --- config
    "config.conflict": Reason(2, "two settings contradict each other", "change one of the two keys"),
    "config.key": Reason(2, "an unknown key would be ignored in silence", "correct the spelling, or remove the key"),
    "config.value": Reason(2, "the value is outside what the key accepts", "give a value of the type and range shown"),
    # --- device
    "device.compiler": Reason(
        5, "torch.compile builds C++ code on a CPU", 'install g++, or set machine.compile = "auto" and train eager'
    ),
    "device.missing": Reason(
        5,
        "the device that was asked for is not on this machine",
        "use --device auto or cpu; `picochat doctor` shows what is here",
    ),
    # --- disk
    "disk.full": Reason(
        5,
        "nothing is written half: what was there before is still there",
        "free the space named above, or choose another --out-dir",
    ),
    "disk.io": Reason(
        5,
        "the disk did not take or give the bytes; a save that is not on disk is not a save",
        "check the disk and the permissions, then run again with --resume",
    ),
    "disk.array": Reason(
        4,
        "working state that was cut short would be read as zeros",
        "it is made again from the start: run the same command again",
    ),
    # --- eval
    "eval.incomplete": Reason(
        4,
        "a row that its rule cannot judge would pass or fail by accident",
        "give the row the fields that its rule needs",
    ),
    "eval.not_finite": Reason(
        4,
        "a log-likelihood that is no number ranks nothing",
        "check that the checkpoint was trained without NaN, then evaluate again",
    ),
    "eval.row": Reason(4, "a row dropped in silence changes every rate it counted in", "mend the line named above"),
    "eval.rule": Reason(
        4, "a row without a known rule cannot be judged", "use exact, numeric, word, option, pair, refuse or benign"
    ),
    "eval.too_long": Reason(
        4,
        "a text cut to fit would be scored as another text",
        "use a model with a larger max_seq_len, or leave the text out",
    ),
    # --- failpoint
    "failpoint.name": Reason(
        2, "a fault injection that names no point would test nothing", "use NAME:ACTION[@N] with a registered name"
    ),
    # --- gate
    "gate.check": Reason(
        2,
        "a misspelt check would be looked up in vain",
        "correct the spelling: docs/reference/checks.md lists them all",
    ),
    "gate.profile": Reason(
        2, "thresholds are fixed by a named and versioned profile", "use research, first_release or skill_release"
    ),
    "gate.waiver": Reason(
        2,
        "a waiver is a person's word about a result; it cannot make evidence, and never turns contamination into a pass",
        "mend what the check names: picochat gate RUN --explain CHECK",
    ),
    # --- harness: another scorer on the same weights
    "harness.result": Reason(
        4,
        "an answer that is not understood must not count as agreement",
        "install the version of lm_eval that constraints.txt names",
    ),
    # --- json
    "json.invalid": Reason(
        4,
        "artifacts are strict JSON: no duplicate keys, no NaN, no trailing bytes",
        "restore the file, or run the stage that writes it again",
    ),
    # --- resume
    "resume.fingerprint": Reason(
        4,
        "a resume under other conditions is another run",
        "restore the saved value, or start a new run; some fields go on with resume.accept or resume.elastic",
    ),
    # --- launch: several ranks
    "launch.environment": Reason(
        5,
        "a rank that does not know its place would do another one's work",
        "start with torchrun, or unset WORLD_SIZE for a single process",
    ),
    "launch.flag": Reason(
        2,
        "several processes and the command must agree on training together",
        "add --ddp under torchrun, or leave both",
    ),
    "launch.main_failed": Reason(5, "the other ranks cannot go on without rank 0", "read rank 0's log, logs/rank0.log"),
    "launch.main_lost": Reason(
        5,
        "rank 0 has stopped, or its host is frozen",
        "read rank 0's log, then run the same command again with --resume",
    ),
    "launch.out_dir": Reason(2, "the ranks meet in the run folder", "give --out-dir: all ranks name the same folder"),
    "launch.peer_lost": Reason(
        5,
        "a step needs the gradients of every rank",
        "read the log of the rank named above, then run the same command again with --resume",
    ),
    "launch.rendezvous": Reason(
        5,
        "the ranks meet at the address of the launcher",
        "check that the address can be reached from every host and that all ranks were started",
    ),
    "launch.replicas": Reason(
        5,
        "replicas that differ train two models and save one",
        "run the same command again with --resume; if it happens again, replace the machine of that rank",
    ),
    # --- prompt
    "prompt.too_long": Reason(
        2, "a question that does not fit beside its answer cannot be read whole", "ask a shorter question"
    ),
    # --- run folder
    "run.busy": Reason(
        5,
        "two writers in one run folder would overwrite each other",
        "wait for the other process, or choose another --out-dir",
    ),
    "run.config": Reason(
        2,
        "a resume goes on with exactly the configuration of run.json",
        "give the same profile and settings, or choose another --out-dir",
    ),
    "run.missing": Reason(
        2, "the command reads a finished or running run folder", "give the folder of a run; `picochat runs` lists them"
    ),
    "run.not_empty": Reason(
        2, "a new run never writes over an old one", "add --resume to go on, or choose another --out-dir"
    ),
    "run.not_running": Reason(
        2, "only a running process can be asked to stop", "`picochat status RUN` shows its state"
    ),
    "run.stopped": Reason(
        75, "a checkpoint of the last finished step is saved", "run the same command again with --resume"
    ),
    # --- strategy: what DDP and FSDP can do
    "strategy.refused": Reason(
        2,
        "a combination that no test has proved is refused before any work is done",
        "leave the feature out, or use --distributed-strategy ddp",
    ),
    # --- text and tokenizer
    "text.surrogate": Reason(
        4,
        "half of a surrogate pair has no UTF-8 form, so it could not be decoded again",
        "replace the character, or decode the text with errors='replace'",
    ),
    "tokenizer.file": Reason(
        4,
        "the ids of a checkpoint mean nothing without the very tokenizer it was trained with",
        "restore the file, or run the tokenizer stage again",
    ),
    "tokenizer.id": Reason(
        4, "an id outside of the vocabulary stands for nothing", "give ids from 0 to the vocabulary size less one"
    ),
    "tokenizer.vocab": Reason(
        4,
        "a smaller vocabulary than asked for would change the model's size in silence",
        "set a smaller tokenizer.vocab_size, or give more text",
    ),
    # --- skills: the generated curriculum
    "skills.disjoint": Reason(
        4,
        "an eval whose wording or entities were trained on measures memory and not the skill",
        "use other identity facts: they stand in every identity row, and none may name a held-out word or act",
    ),
    "skills.folder": Reason(2, "generated rows never mix with other files", "choose another --out-dir"),
    "skills.rows": Reason(
        2,
        "rows that repeat are learned by heart instead of the skill",
        "lower data.skills.sft_rows, the share of the skill, or the rows a skill",
    ),
    "skills.words": Reason(
        4,
        "spelling and choice take their words from the documents, and three sides must share none",
        "give more documents to the skills generator",
    ),
    # --- training
    "training.ledger": Reason(
        4,
        "a run without every planned step in its ledger is not a finished training",
        "run the same command again with --resume",
    ),
    "training.loss_guard": Reason(
        6,
        "the guard rejects steps whose loss or gradient is not finite or far out of line",
        "lower the learning rate, or look at the documents named in the guard_skipped events",
    ),
    # --- usage
    "usage.extra": Reason(
        2,
        "packages that only some commands and sources need are not installed with the rest",
        "pip install 'picochat[data]'",
    ),
    "usage.path": Reason(2, "the path does not exist or is not of the kind needed", "check the path"),
    "usage.unavailable": Reason(2, "this part is not available in this version", "choose one of the supported values"),
    # --- workers: processes that share a stage's work
    "workers.lost": Reason(
        5,
        "a worker that is killed, often for its memory, takes its piece of work with it",
        "run the same command again with --resume: finished pieces are kept; --set machine.workers=1 needs least memory",
    ),
}
