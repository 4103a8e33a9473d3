/*
 * Stands in for libedgetpu: a TensorFlow Lite delegate that takes the operator `edgetpu-custom-op` and computes
 * sigmoid(mean(input)), unless the file named by STAND_IN_CORAL says how it shall fail. Like the real one it gives no reason
 * when there is no accelerator, and takes the process with it when one is pulled out.
 *
 * The structures are those of tensorflow/lite/core/c/common.h, as far as they are needed. Their order is kept between versions.
 */
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct { int size; int data[]; } IntArray;
typedef struct { int type; void *params; } Quantization;
typedef struct Delegate Delegate;
typedef struct Context Context;

typedef struct {
  int type;
  float *data;
  IntArray *dims;
  struct { float scale; int32_t zero_point; } params;
  int allocation_type;
  size_t bytes;
  const void *allocation;
  const char *name;
  Delegate *delegate;
  int buffer_handle;
  bool data_is_stale, is_variable;
  Quantization quantization;
  void *sparsity;
  const IntArray *dims_signature;
} Tensor;

typedef struct { IntArray *inputs, *outputs, *intermediates, *temporaries; void *user_data, *builtin_data; } Node;

typedef struct {
  void *(*init)(Context *, const char *, size_t);
  void (*free)(Context *, void *);
  int (*prepare)(Context *, Node *);
  int (*invoke)(Context *, Node *);
  const char *(*profiling_string)(const Context *, const Node *);
  int32_t builtin_code;
  const char *custom_name;
  int version;
  void *later[8]; /* what newer versions have added; all of it may be zero */
} Registration;

struct Context {
  size_t tensors_size;
  int (*GetExecutionPlan)(Context *, IntArray **);
  Tensor *tensors;
  void *impl;
  int (*ResizeTensor)(Context *, Tensor *, IntArray *);
  void (*ReportError)(Context *, const char *, ...);
  int (*AddTensors)(Context *, int, int *);
  int (*GetNodeAndRegistration)(Context *, int, Node **, Registration **);
  int (*ReplaceNodeSubsetsWithDelegateKernels)(Context *, Registration, const IntArray *, Delegate *);
};

struct Delegate {
  void *data;
  int (*Prepare)(Context *, Delegate *);
  void *copy_from, *copy_to, *free_buffer;
  int64_t flags;
  void *opaque;
};

static bool told(const char *word) {
  char found[32] = "";
  const char *path = getenv("STAND_IN_CORAL");
  FILE *file = path ? fopen(path, "r") : NULL;
  if (file) {
    if (!fgets(found, sizeof found, file)) found[0] = '\0';
    fclose(file);
  }
  return strcmp(found, word) == 0;
}

static int prepare_kernel(Context *context, Node *node) {
  (void)node;
  if (!told("refuse")) return 0;
  context->ReportError(context, "Failed to prepare a custom op.");
  return 1;
}

static int invoke_kernel(Context *context, Node *node) {
  const Tensor *input = &context->tensors[node->inputs->data[0]];
  Tensor *output = &context->tensors[node->outputs->data[0]];
  size_t count = input->bytes / sizeof(float);
  double sum = 0;
  if (told("abort")) abort(); /* as after `F driver/usb/usb_driver.cc:857] HandleQueuedBulkIn transfer in failed.` */
  while (told("hang")) usleep(1000);
  if (told("fail")) {
    context->ReportError(context, "Internal: the device is in an error state");
    return 1;
  }
  for (size_t i = 0; i < count; i++) sum += input->data[i];
  output->data[0] = (float)(1 / (1 + exp(-sum / (double)count)));
  if (told("wrong")) output->data[0] += 0.25f;
  if (told("a bit off")) output->data[0] += 0.01f;
  if (told("nan")) output->data[0] = NAN;
  return 0;
}

static int prepare(Context *context, Delegate *delegate) {
  Registration kernel = {.prepare = prepare_kernel, .invoke = invoke_kernel, .custom_name = "EdgeTpuDelegateForCustomOp", .version = 1};
  IntArray *plan, *nodes;
  if (context->GetExecutionPlan(context, &plan)) return 1;
  nodes = malloc(sizeof(IntArray) + sizeof(int) * (size_t)plan->size);
  nodes->size = 0;
  for (int i = 0; i < plan->size; i++) {
    Node *node;
    Registration *registration;
    if (context->GetNodeAndRegistration(context, plan->data[i], &node, &registration)) return 1;
    if (registration->custom_name && strcmp(registration->custom_name, "edgetpu-custom-op") == 0) nodes->data[nodes->size++] = plan->data[i];
  }
  int status = nodes->size ? context->ReplaceNodeSubsetsWithDelegateKernels(context, kernel, nodes, delegate) : 0;
  free(nodes);
  return status;
}

Delegate *tflite_plugin_create_delegate(char **keys, char **values, size_t count, void (*report)(const char *)) {
  if (told("none")) return NULL;
  if (told("crash")) abort();
  for (size_t i = 0; i < count; i++) {
    if (strcmp(keys[i], "device") == 0 && strcmp(values[i], "usb") != 0) {
      report("this one is on USB");
      return NULL;
    }
  }
  Delegate *made = calloc(1, sizeof(Delegate));
  made->Prepare = prepare;
  made->flags = 1; /* kTfLiteDelegateFlagsAllowDynamicTensors, as libedgetpu has it */
  return made;
}

void tflite_plugin_destroy_delegate(Delegate *delegate) { free(delegate); }
