"""Finding CUDA in every layout that users have, and what is made of it for Jittor; on made-up trees, and for real
where NVIDIA's headers are installed."""

from __future__ import annotations

import os
import subprocess
from importlib import metadata
from pathlib import Path

import pytest
from made_up_cuda import cudnn, header, nccl, nvcc, toolkit

from ecgan.runtime import cuda
from ecgan.runtime.cuda import folder as making
from ecgan.runtime.cuda import search
from ecgan.runtime.toolchain import find_compiler


@pytest.fixture(autouse=True)
def bare_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No CUDA but what a test makes."""
    for variable in ("CUDA_HOME", "CUDA_PATH", "CONDA_PREFIX", "CUDNN_PATH", "CUDNN_HOME", "CUDNN_ROOT"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path / "path"))
    monkeypatch.setattr(search, "_DEFAULT_TOOLKIT", tmp_path / "local/cuda")
    for module in (search, making):
        monkeypatch.setattr(module, "_SYSTEM", tmp_path / "usr")
    monkeypatch.setattr(search, "_site_packages", lambda: [tmp_path / "site"])


def found() -> cuda.Cuda:
    each = cuda.find()
    assert each is not None and each.missing == (), each
    return each


def test_no_cuda() -> None:
    assert cuda.find() is None


@pytest.mark.parametrize("major", [11, 12])
def test_toolkit_that_jittor_knows_needs_nothing(tmp_path: Path, major: int) -> None:
    root = tmp_path / "local/cuda"
    nvcc(root / "bin")
    toolkit(root / "include", root / "lib64", major)
    cudnn(root / "include", root / "lib64", 8)
    each = found()
    assert (each.version, each.parts["cudnn"].version) == ((major, 1), "8.2.1")
    assert cuda.overlays(each, [86]) == []
    settings = cuda.prepare(each, [86], tmp_path / "home")
    assert settings.environment["nvcc_path"] == str(root / "bin/nvcc") and settings.cc_flag == ""
    assert settings.environment["use_nccl"] == "0"
    assert not (tmp_path / "home").exists()


def test_toolkit_without_npp(tmp_path: Path) -> None:
    root = tmp_path / "local/cuda"
    nvcc(root / "bin")
    toolkit(root / "include", root / "lib64", 12)
    cudnn(root / "include", root / "lib64", 8)
    (root / "include/npp.h").unlink()
    assert [overlay.what for overlay in cuda.overlays(found(), [86])] == ["npp.h", "folder of links"]
    cuda.prepare(found(), [86], tmp_path / "home")
    assert "NPP_MAX_64S" in (tmp_path / "home/cuda/include/npp.h").read_text()
    assert (tmp_path / "home/cuda/include/cudnn.h").is_symlink()


def test_place_that_is_named_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for root, major in (("local/cuda", 11), ("named", 12)):
        nvcc(tmp_path / root / "bin")
        toolkit(tmp_path / root / "include", tmp_path / root / "lib64", major)
        cudnn(tmp_path / root / "include", tmp_path / root / "lib64", 8)
    assert found().version == (11, 1)
    monkeypatch.setenv("CUDA_HOME", str(tmp_path / "named"))
    assert (found().version, found().source) == ((12, 1), "CUDA_HOME")


def test_complete_cuda_comes_before_half_a_one(tmp_path: Path) -> None:
    nvcc(tmp_path / "path")  # a wrapper: nothing lies beside it
    half = cuda.find()
    assert half is not None and "cudart" in half.missing and "lacks cudart" in half.lack
    root = tmp_path / "local/cuda"
    nvcc(root / "bin")
    toolkit(root / "include", root / "lib64", 12)
    cudnn(root / "include", root / "lib64", 8)
    assert found().nvcc == root / "bin/nvcc"


def test_wheels_of_cuda_13(tmp_path: Path) -> None:
    site = tmp_path / "site"
    nvcc(site / "nvidia/cu13/bin")
    toolkit(site / "nvidia/cu13/include", site / "nvidia/cu13/lib", 13, to_link_with=False)
    (site / "nvidia/cu13/lib/libcudadevrt.a").touch()
    for name in ("cudnn", "nccl"):
        (site / f"nvidia_{name}_cu13-9.9.dist-info").mkdir()
    cudnn(site / "nvidia/cudnn/include", site / "nvidia/cudnn/lib", 9, to_link_with=False)
    nccl(site / "nvidia/nccl/include", site / "nvidia/nccl/lib", to_link_with=False)
    each = found()
    assert (each.source, each.version, each.parts["nccl"].version) == ("wheels", (13, 1), "2.20.3")
    what = [overlay.what for overlay in cuda.overlays(each, [86])]
    assert "helper_cuda.h" in what and "cudnn.h" in what and "folder of links" in what

    settings = cuda.prepare(each, [86], tmp_path / "home")
    folder = tmp_path / "home/cuda"
    assert settings.environment["nvcc_path"] == str(folder / "bin/nvcc")
    assert settings.environment["nccl_lib_path"] == str(folder / "lib64") and settings.environment["use_nccl"] == "1"
    assert settings.cc_flag == f' -iquote"{folder}/quoted"'
    assert "computeMode" not in (folder / "quoted/helper_cuda.h").read_text().split("#ifndef")[1]
    lib64 = folder / "lib64"
    for name in ("cudart", "cublas", "cublasLt", "curand", "cufft", "cusparse", "cudnn", "nccl"):
        assert (lib64 / f"lib{name}.so").is_file(), name
    assert (lib64 / "libcudadevrt.a").is_file()
    assert (lib64 / "libcudnn_ops_infer.so").resolve().name == "libcudnn_ops.so.9"
    assert (lib64 / "libcudnn_cnn_train.so").resolve().name == "libcudnn_cnn.so.9"
    assert (lib64 / "libcudnn_engines_precompiled.so.9").is_file()
    assert (folder / "include/cudnn.h").read_text().startswith(f'#include "{site}/nvidia/cudnn/include/cudnn.h"')
    assert (site / "nvidia/cudnn/include/cudnn.h").read_text() == ""  # what was found stays as it was
    names = [path.name for path in settings.preload]
    assert names[0] == "libcudart.so.13" and names[-1] == "libcudnn_cnn.so.9" and "libnccl.so.2" not in names
    assert cuda.prepare(each, [86], tmp_path / "home") == settings  # the folder is there already


def test_wheels_of_cuda_12_beside_a_compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The wheels before CUDA 13 hold no nvcc: it comes from conda here, the libraries from a folder for each part."""
    site, conda = tmp_path / "site", tmp_path / "conda"
    nvcc(conda / "bin")
    monkeypatch.setenv("CONDA_PREFIX", str(conda))
    toolkit(conda / "targets/x86_64-linux/include", conda / "lib", 12, parts=["cudart"])
    folders = {"cublas": ["cublas", "cublasLt"], "curand": ["curand"], "cufft": ["cufft"], "cusparse": ["cusparse"]}
    for name, parts in folders.items():
        (site / f"nvidia_{name}_cu12-12.1.dist-info").mkdir(parents=True)
        toolkit(site / f"nvidia/{name}/include", site / f"nvidia/{name}/lib", 12, to_link_with=False, parts=parts)
    (site / "nvidia_cudnn_cu12-8.9.dist-info").mkdir()
    cudnn(site / "nvidia/cudnn/include", site / "nvidia/cudnn/lib", 8, to_link_with=False)
    each = found()
    assert (each.source, each.version) == ("conda", (12, 1))
    assert [overlay.what for overlay in cuda.overlays(each, [86])] == ["folder of links"]
    settings = cuda.prepare(each, [86], tmp_path / "home")
    assert settings.cc_flag == ""
    lib64 = tmp_path / "home/cuda/lib64"
    assert (lib64 / "libcudart.so").is_file() and (lib64 / "libcudnn.so").resolve().name == "libcudnn.so.8"
    assert (tmp_path / "home/cuda/include/cudnn.h").is_symlink()
    called = subprocess.run([settings.environment["nvcc_path"], "-std=c++14", "a b"], capture_output=True, text=True)
    assert called.stdout == "-std=c++14\na b\n"


def test_wheel_for_another_cuda_is_left_alone(tmp_path: Path) -> None:
    root, site = tmp_path / "local/cuda", tmp_path / "site"
    nvcc(root / "bin")
    toolkit(root / "include", root / "lib64", 12)
    cudnn(site / "nvidia/cudnn/include", site / "nvidia/cudnn/lib", 9)
    (site / "nvidia_cudnn_cu13-9.9.dist-info").mkdir()
    each = cuda.find()
    assert each is not None and each.missing == ("cudnn",)
    (site / "nvidia_cudnn_cu12-9.9.dist-info").mkdir()
    assert found().parts["cudnn"].major == 9


def test_conda(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    conda = tmp_path / "conda"
    nvcc(conda / "bin")
    monkeypatch.setenv("CONDA_PREFIX", str(conda))
    toolkit(conda / "targets/x86_64-linux/include", conda / "targets/x86_64-linux/lib", 12)
    cudnn(conda / "include", conda / "lib", 9)
    each = found()
    assert each.source == "conda"
    assert {overlay.what for overlay in cuda.overlays(each, [])} >= {"cudnn.h", "folder of links"}
    cuda.prepare(each, [], tmp_path / "home")
    assert (tmp_path / "home/cuda/lib64/libcudart.so").resolve().is_relative_to(conda)


@pytest.mark.parametrize("major", [8, 9])
def test_cudnn_among_the_systems_libraries(tmp_path: Path, major: int) -> None:
    root, system = tmp_path / "local/cuda", tmp_path / "usr"
    nvcc(root / "bin")
    toolkit(root / "include", root / "lib64", 12)
    header(system / "include", "stdio.h")
    cudnn(system / "include", system / "lib/x86_64-linux-gnu", major)
    each = found()
    what = [overlay.what for overlay in cuda.overlays(each, [])]
    assert what == ([] if major == 8 else ["cudnn.h", "libcudnn_*_infer.so, _train.so", "folder of links"])
    if major == 9:
        cuda.prepare(each, [], tmp_path / "home")
        assert not (tmp_path / "home/cuda/include/stdio.h").exists()
        assert (tmp_path / "home/cuda/include/cudnn_version.h").is_file()


def test_cudnn_that_a_variable_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root, own = tmp_path / "local/cuda", tmp_path / "own cudnn"
    nvcc(root / "bin")
    toolkit(root / "include", root / "lib64", 12)
    cudnn(root / "include", root / "lib64", 8)
    cudnn(own / "include", own / "lib", 9)
    monkeypatch.setenv("CUDNN_PATH", str(own))
    assert found().parts["cudnn"].library == own / "lib/libcudnn.so.9"


@pytest.fixture
def cuda_13(tmp_path: Path) -> cuda.Cuda:
    root = tmp_path / "local/cuda"
    nvcc(root / "bin")
    toolkit(root / "include", root / "lib64", 13)
    cudnn(root / "include", root / "lib64", 9)
    return found()


def test_compiler_of_cuda_13_gets_what_it_understands(tmp_path: Path, cuda_13: cuda.Cuda) -> None:
    settings = cuda.prepare(cuda_13, [90, 120], tmp_path / "home")
    command = [settings.environment["nvcc_path"], '-iquote/a "b"', "-std=c++14", "-code=sm_90", "it's $x", "a b"]
    called = subprocess.run(command, capture_output=True, text=True, check=True)
    quoted = tmp_path / "home/cuda/quoted"
    assert called.stdout.splitlines() == [
        f"-I{quoted}",
        "-std=c++17",
        "-code=sm_90",
        "-code=sm_120",
        "it's $x",
        "a b",
    ]


def test_gpu_that_the_compiler_does_not_know_is_left_to_the_driver() -> None:
    assert making._codes([90, 120], (12, 4)) == ["-code=sm_90", "-code=compute_90"]
    assert making._codes([120], (12, 8)) == ["-code=sm_120"]
    assert making._codes([999], (13, 0)) == ["-code=compute_90"]


def test_fingerprint_tells_what_differs(tmp_path: Path, cuda_13: cuda.Cuda) -> None:
    before = cuda.fingerprint(cuda_13, [86])
    assert before == cuda.fingerprint(found(), [86, 86])
    assert before != cuda.fingerprint(cuda_13, [90])
    (tmp_path / "local/cuda/lib64/libcudnn.so.9").write_text("another")
    assert before != cuda.fingerprint(cuda_13, [86])


def test_our_flag_is_taken_back() -> None:
    ours = ' -iquote"/a b/jittor-cuda-1/cuda/quoted"'
    assert cuda.without_our_flags(f"-g{ours} -pipe") == "-g -pipe"


def test_newest_gcc(tmp_path: Path, cuda_13: cuda.Cuda) -> None:
    assert cuda.newest_gcc(cuda_13) is None
    header(tmp_path / "local/cuda/include/crt", "host_config.h", "#if __GNUC__ > 15\n#error\n#endif\n")
    assert cuda.newest_gcc(cuda_13) == 15


def test_overlaid_headers_compile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What Jittor's cuDNN and runtime sources need of them, with the compiler and headers that are really there."""
    monkeypatch.undo()
    each = cuda.find()
    if each is None or each.missing or each.version < (13, 0) or each.parts["cudnn"].major < 9:
        pytest.skip("CUDA 13 with cuDNN 9 is not installed (pip install '.[gpu]')")
    cuda.prepare(each, [], tmp_path)
    jittor = Path(str(metadata.distribution("jittor").locate_file("jittor")))
    sources = [*jittor.glob("extern/cuda/cudnn/src/cudnn_rnn_descriptor.cc"), jittor / "src/misc/nan_checker.cc"]
    inner = [jittor / "src", jittor / "extern/cuda/inc", jittor / "extern/cuda/cudnn/inc", tmp_path / "cuda/include"]
    flags = ["-std=c++14", "-fsyntax-only", "-DHAS_CUDA", "-DIS_CUDA", f"-iquote{tmp_path}/cuda/quoted"]
    compiler = find_compiler()
    assert compiler is not None and len(sources) == 2
    for source in sources:
        command = [compiler, *flags, *(f"-I{folder}" for folder in inner), str(source)]
        done = subprocess.run(command, capture_output=True, text=True, env=os.environ)
        assert done.returncode == 0, done.stderr
