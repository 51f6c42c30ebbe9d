import pytest
import torch

from picochat.core.errors import PicochatError
from picochat.distributed import probe
from picochat.distributed.env import Launch, cxx_compiler, read_launch
from picochat.distributed.probe import autocast_dtype, choose_device, choose_precision, set_threads

LAUNCHER = {
    "RANK": "5",
    "LOCAL_RANK": "1",
    "WORLD_SIZE": "8",
    "LOCAL_WORLD_SIZE": "4",
    "MASTER_ADDR": "host",
    "MASTER_PORT": "29500",
    "TORCHELASTIC_RUN_ID": "job",
    "TORCHELASTIC_RESTART_COUNT": "2",
    "TORCHELASTIC_USE_AGENT_STORE": "True",
}


@pytest.fixture
def no_cuda(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


def test_auto_takes_cuda_only_where_it_is(monkeypatch, no_cuda):
    assert choose_device("auto") == torch.device("cpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert choose_device("auto") == torch.device("cuda")


@pytest.mark.parametrize("wanted", ["cuda", "cuda:3", "mps", "meta", "xpu"])
def test_a_device_that_is_not_there_is_refused_with_exit_code_5(no_cuda, wanted):
    with pytest.raises(PicochatError) as caught:
        choose_device(wanted)
    assert (caught.value.code, caught.value.exit_code) == ("device.missing", 5)
    assert repr(wanted) in caught.value.detail


def test_a_gpu_number_that_is_too_high_is_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert choose_device("cuda:1") == torch.device("cuda:1")
    with pytest.raises(PicochatError, match="cuda:2"):
        choose_device("cuda:2")


@pytest.mark.parametrize("wanted", ["gpu", "", "cpu:x", "CUDA 0"])
def test_a_name_that_is_no_device_is_a_wrong_value(no_cuda, wanted):
    with pytest.raises(PicochatError) as caught:
        choose_device(wanted)
    assert (caught.value.code, caught.value.exit_code) == ("config.value", 2)
    assert repr(wanted) in caught.value.detail


@pytest.mark.parametrize(
    ("features", "expected"),
    [
        (["avx2"], ("fp32", "the CPU has neither AMX nor AVX512-BF16")),
        (["avx2", "avx512f"], ("fp32", "the CPU has neither AMX nor AVX512-BF16")),
        (["avx512_bf16"], ("bf16", "the CPU has avx512_bf16")),
        (["amx_bf16", "avx512_bf16"], ("bf16", "the CPU has amx_bf16")),
    ],
)
def test_auto_precision_of_a_cpu(monkeypatch, features, expected):
    monkeypatch.setattr(probe, "cpu_features", lambda: features)
    assert choose_precision("auto", torch.device("cpu")) == expected


@pytest.mark.parametrize(("capability", "expected"), [((9, 0), "bf16"), ((8, 0), "bf16"), ((7, 5), "fp32")])
def test_auto_precision_of_a_gpu(monkeypatch, capability, expected):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    assert choose_precision("auto", torch.device("cuda"))[0] == expected


@pytest.mark.parametrize("wanted", ["fp32", "bf16", "fp16"])
def test_what_is_asked_for_is_taken(wanted):
    assert choose_precision(wanted, torch.device("cpu")) == (wanted, "asked for")


def test_autocast_dtypes():
    assert [autocast_dtype(name) for name in ("bf16", "fp16", "fp32")] == [torch.bfloat16, torch.float16, None]


def test_threads_are_fixed_and_told(monkeypatch):
    told: list[int] = []
    monkeypatch.setattr(torch, "set_num_threads", told.append)
    monkeypatch.setattr(probe.os, "sched_getaffinity", lambda pid: {0, 1, 5})
    assert (set_threads(7), set_threads(None)) == (7, 3)
    assert told == [7, 3]


def test_a_plain_start_is_rank_0_of_1_and_a_launched_one_says_so(monkeypatch):
    for name in LAUNCHER:
        monkeypatch.delenv(name, raising=False)
    assert read_launch() == Launch() and not Launch().launched
    for name, value in LAUNCHER.items():
        monkeypatch.setenv(name, value)
    assert read_launch() == Launch(5, 1, 8, 4, "job@host:29500", 2, "host", 29500, True)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("RANK", "8"),
        ("RANK", "-1"),
        ("LOCAL_RANK", "4"),
        ("WORLD_SIZE", "x"),
        ("MASTER_PORT", ""),
        ("MASTER_ADDR", None),
    ],
)
def test_a_launcher_that_contradicts_itself_is_refused(monkeypatch, name, value):
    for key, own in (LAUNCHER | {name: value}).items():
        monkeypatch.delenv(key, raising=False) if own is None else monkeypatch.setenv(key, own)
    with pytest.raises(PicochatError) as caught:
        read_launch()
    assert caught.value.code == "launch.environment"


def test_the_compiler_is_found_on_the_path_or_not_at_all(monkeypatch, tmp_path):
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert cxx_compiler() is None
    tool = tmp_path / "clang++"
    tool.write_text("")
    tool.chmod(0o755)
    assert cxx_compiler() == str(tool)
