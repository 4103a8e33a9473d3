"""
Run one model in one runtime, in a process of its own: `python child.py RUNTIME MODEL THREADS`.

It needs numpy and that runtime, no more. It reads numbers from stdin; for each, it runs the network
that many times and prints the milliseconds of each run as JSON. Its first line is the version of
the runtime, or the reason why it cannot run the model.
"""

# mypy: ignore-errors
import json
import os
import sys
import time

import numpy as np

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"


def tflite(module, path, threads):
    interpreter = __import__(f"{module}.interpreter", fromlist=["Interpreter"]).Interpreter(
        model_path=path, num_threads=threads
    )
    interpreter.allocate_tensors()
    detail = interpreter.get_input_details()[0]
    rng = np.random.default_rng(0)
    whole = np.issubdtype(detail["dtype"], np.integer)
    tensor = rng.integers(-128, 127, detail["shape"]) if whole else rng.random(detail["shape"])
    interpreter.set_tensor(detail["index"], tensor.astype(detail["dtype"]))
    return interpreter.invoke


def onnx(_, path, threads):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    given = session.get_inputs()[0]
    tensor = np.random.default_rng(0).random(given.shape, np.float32)
    return lambda: session.run(None, {given.name: tensor})


RUNTIMES = {
    "litert": (tflite, "ai_edge_litert", "ai-edge-litert"),
    "tflite-runtime": (tflite, "tflite_runtime", "tflite-runtime"),
    "onnxruntime": (onnx, "", "onnxruntime"),
}


def main():
    runtime, path, threads = sys.argv[1], sys.argv[2], int(sys.argv[3])
    say = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # the runtimes print greetings
    opened, module, package = RUNTIMES[runtime]
    try:
        invoke = opened(module, path, threads)
        invoke()
    except Exception as error:
        print(
            json.dumps({"error": f"{type(error).__name__}: {str(error).splitlines()[0][:120]}"}),
            file=say,
            flush=True,
        )
        return
    import importlib.metadata

    print(json.dumps({"version": importlib.metadata.version(package)}), file=say, flush=True)
    for line in sys.stdin:
        times = []
        for _ in range(int(line)):
            start = time.perf_counter()
            invoke()
            times.append((time.perf_counter() - start) * 1000)
        print(json.dumps(times), file=say, flush=True)


main()
