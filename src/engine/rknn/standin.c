/* A stand-in for Rockchip's librknnrt.so: the calls that the engine makes, on the processor, with their failures.
 *
 * A "model" is text: "RKNN", then words. height=, width=, channels= make its input; type= fp32, fp16 or int8; stride=
 * pixels from row to row; planes=1 makes the native layout one that cannot be written by others. It gives `mean`, [1,
 * channels], the mean of each channel, and `seen`, [1, 3]: the core mask of the context, the value of the first channel of
 * the last pixel, and whether the input was bound. fail=CALL:CODE makes a call fail; fail2=CALL:CODE from its second time.
 * api=, driver= are the versions. int64=1 gives it an input of integers, wrong=1 dimensions that do not multiply up.
 *
 * With -DRKNN_HEADER='"rknn_api.h"' the declarations are Rockchip's own.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef RKNN_HEADER
#include RKNN_HEADER
#else
typedef uint64_t rknn_context;
typedef struct { uint32_t n_input, n_output; } rknn_input_output_num;
typedef struct { char api_version[256], drv_version[256]; } rknn_sdk_version;
typedef struct {
    uint32_t index, n_dims, dims[16];
    char name[256];
    uint32_t n_elems, size;
    int fmt, type, qnt_type; /* enums in C are ints */
    int8_t fl;
    int32_t zp;
    float scale;
    uint32_t w_stride, size_with_stride;
    uint8_t pass_through;
    uint32_t h_stride;
} rknn_tensor_attr;
typedef struct {
    void *virt_addr;
    uint64_t phys_addr;
    int32_t fd, offset;
    uint32_t size, flags;
    void *priv_data;
} rknn_tensor_mem;
typedef struct {
    uint32_t index;
    void *buf;
    uint32_t size;
    uint8_t pass_through;
    int type, fmt;
} rknn_input;
typedef struct {
    uint8_t want_float, is_prealloc;
    uint32_t index;
    void *buf;
    uint32_t size;
} rknn_output;
#endif

/* Sizes and offsets, for whoever wrote the same structures in another language. */
void standin_layout(uint64_t *out) {
    uint64_t all[] = {
        sizeof(rknn_input_output_num), sizeof(rknn_sdk_version), offsetof(rknn_sdk_version, drv_version),
        sizeof(rknn_tensor_attr), offsetof(rknn_tensor_attr, dims), offsetof(rknn_tensor_attr, name),
        offsetof(rknn_tensor_attr, n_elems), offsetof(rknn_tensor_attr, size), offsetof(rknn_tensor_attr, fmt),
        offsetof(rknn_tensor_attr, type), offsetof(rknn_tensor_attr, qnt_type), offsetof(rknn_tensor_attr, fl),
        offsetof(rknn_tensor_attr, zp), offsetof(rknn_tensor_attr, scale), offsetof(rknn_tensor_attr, w_stride),
        offsetof(rknn_tensor_attr, size_with_stride), offsetof(rknn_tensor_attr, pass_through),
        offsetof(rknn_tensor_attr, h_stride), sizeof(rknn_tensor_mem), offsetof(rknn_tensor_mem, size),
        offsetof(rknn_tensor_mem, priv_data), sizeof(rknn_input), offsetof(rknn_input, buf),
        offsetof(rknn_input, size), offsetof(rknn_input, pass_through), offsetof(rknn_input, type),
        offsetof(rknn_input, fmt), sizeof(rknn_output), offsetof(rknn_output, index), offsetof(rknn_output, buf),
        offsetof(rknn_output, size), sizeof(rknn_context),
    };
    memcpy(out, all, sizeof all);
}

/* Contexts and buffers that were made and not destroyed. */
static long living;
long standin_living(void) { return __atomic_load_n(&living, __ATOMIC_SEQ_CST); }
static void count(long n) { __atomic_add_fetch(&living, n, __ATOMIC_SEQ_CST); }

typedef struct {
    char words[1024];
    int height, width, channels, stride, type, mask, copies, calls[8];
    float *input; /* height * width * channels, pixels */
    rknn_tensor_mem *bound, *outputs[2];
    int ran;
} context;

static const char *word(const context *c, const char *key) {
    static _Thread_local char value[128];
    char wanted[64];
    snprintf(wanted, sizeof wanted, " %s=", key);
    const char *at = strstr(c->words, wanted);
    if (!at) return NULL;
    sscanf(at + strlen(wanted), "%127s", value);
    return value;
}

static int number(const context *c, const char *key, int otherwise) {
    const char *text = word(c, key);
    return text ? atoi(text) : otherwise;
}

enum { RUN, OUTPUTS, INPUTS, DUP, MASK, MEM, IO, QUERY };
static const char *NAMES[] = {"run", "outputs_get", "inputs_set", "dup_context", "set_core_mask", "create_mem", "set_io_mem", "query"};

static int fails(context *c, int call) {
    c->calls[call]++;
    const char *keys[] = {"fail", "fail2"};
    for (int i = 0; i < 2; i++) {
        const char *text = word(c, keys[i]);
        size_t length = strlen(NAMES[call]);
        if (text && !strncmp(text, NAMES[call], length) && text[length] == ':' && c->calls[call] > i)
            return atoi(text + length + 1);
    }
    return 0;
}

static context *of(rknn_context handle) { return (context *)(uintptr_t)handle; }

int rknn_init(rknn_context *out, void *model, uint32_t size, uint32_t flag, void *extend) {
    (void)flag, (void)extend;
    context *c = calloc(1, sizeof *c);
    if (size >= sizeof c->words || size < 4 || memcmp(model, "RKNN", 4)) { free(c); return -6; }
    memcpy(c->words, model, size);
    memset(model, 0xA5, size); /* nobody may count on it afterwards */
    const char *fail = word(c, "fail");
    if (fail && !strncmp(fail, "init:", 5)) { int code = atoi(fail + 5); free(c); return code; }
    c->height = number(c, "height", 2), c->width = number(c, "width", 3), c->channels = number(c, "channels", 3);
    c->stride = number(c, "stride", c->width);
    const char *type = word(c, "type");
    c->type = !type || !strcmp(type, "fp16") ? 1 : !strcmp(type, "int8") ? 2 : 0;
    c->input = calloc(c->height * c->width * c->channels, sizeof(float));
    *out = (rknn_context)(uintptr_t)c;
    count(1);
    return 0;
}

int rknn_dup_context(rknn_context *in, rknn_context *out) {
    context *from = of(*in);
    int code = fails(from, DUP);
    if (code) return code;
    context *c = malloc(sizeof *c);
    *c = *from;
    c->input = calloc(c->height * c->width * c->channels, sizeof(float));
    c->bound = c->outputs[0] = c->outputs[1] = NULL, c->mask = 0, c->copies = 0;
    memset(c->calls, 0, sizeof c->calls);
    *out = (rknn_context)(uintptr_t)c;
    count(1);
    return 0;
}

int rknn_destroy(rknn_context handle) {
    free(of(handle)->input);
    free(of(handle));
    count(-1);
    return 0;
}

static void fill(rknn_tensor_attr *a, const char *name, int fmt, int type, const uint32_t *dims, int n) {
    snprintf(a->name, sizeof a->name, "%s", name);
    a->n_dims = n, a->fmt = fmt, a->type = type, a->n_elems = 1;
    for (int i = 0; i < n; i++) a->dims[i] = dims[i], a->n_elems *= dims[i];
    a->size = a->n_elems * (type == 0 ? 4 : type == 1 ? 2 : type == 8 ? 8 : 1);
}

int rknn_query(rknn_context handle, int command, void *info, uint32_t size) {
    context *c = of(handle);
    int code = fails(c, QUERY);
    if (code) return code;
    rknn_tensor_attr *a = info;
    uint32_t picture[] = {1, c->height, c->width, c->channels}, mean[] = {1, c->channels}, seen[] = {1, 3};
    int type = number(c, "int64", 0) ? 8 : c->type;
    switch (command) {
    case 0:
        if (size != sizeof(rknn_input_output_num)) return -5;
        ((rknn_input_output_num *)info)->n_input = 1, ((rknn_input_output_num *)info)->n_output = 2;
        return 0;
    case 5: {
        if (size != sizeof(rknn_sdk_version)) return -5;
        rknn_sdk_version *v = info;
        const char *api = word(c, "api");
        snprintf(v->api_version, 256, "%s (0000000000@2025-04-09T09:09:27)", api ? api : "2.3.2");
        const char *driver = word(c, "driver");
        snprintf(v->drv_version, 256, "%s", driver ? driver : "0.9.8");
        return 0;
    }
    case 1: case 8:
        if (size != sizeof *a || a->index != 0) return -5;
        fill(a, "pixel_values", 1, type, picture, 4);
        a->qnt_type = type == 2 ? 2 : 0, a->scale = 0.5f, a->zp = -3;
        a->w_stride = c->stride;
        a->size_with_stride = a->size / c->width * c->stride;
        if (command == 8 && number(c, "planes", 0)) a->fmt = 2;
        if (number(c, "wrong", 0)) a->dims[1]++;
        return 0;
    case 2:
        if (size != sizeof *a || a->index > 1) return -5;
        if (a->index == 0) fill(a, "mean", 3, 1, mean, 2);
        else fill(a, "seen", 3, 1, seen, 2);
        return 0;
    }
    return -5;
}

int rknn_set_core_mask(rknn_context handle, int mask) {
    int code = fails(of(handle), MASK);
    if (!code) of(handle)->mask = mask;
    return code;
}

int rknn_inputs_set(rknn_context handle, uint32_t n, rknn_input inputs[]) {
    context *c = of(handle);
    int code = fails(c, INPUTS);
    if (code) return code;
    int plane = c->height * c->width;
    if (n != 1 || inputs[0].type != 0 || inputs[0].fmt != 0 || inputs[0].pass_through) return -8;
    if (inputs[0].size != plane * c->channels * sizeof(float)) return -8;
    for (int p = 0; p < plane; p++)
        for (int k = 0; k < c->channels; k++) c->input[p * c->channels + k] = ((float *)inputs[0].buf)[k * plane + p];
    c->copies = 1;
    return 0;
}

rknn_tensor_mem *rknn_create_mem(rknn_context handle, uint32_t size) {
    if (fails(of(handle), MEM)) return NULL;
    rknn_tensor_mem *m = calloc(1, sizeof *m);
    m->virt_addr = malloc(size), m->size = size;
    memset(m->virt_addr, 0x7F, size);
    count(1);
    return m;
}

int rknn_destroy_mem(rknn_context handle, rknn_tensor_mem *m) {
    (void)handle;
    free(m->virt_addr);
    free(m);
    count(-1);
    return 0;
}

int rknn_set_io_mem(rknn_context handle, rknn_tensor_mem *m, rknn_tensor_attr *a) {
    context *c = of(handle);
    int code = fails(c, IO);
    if (code) return code;
    int output = !strcmp(a->name, "mean") ? 0 : !strcmp(a->name, "seen") ? 1 : -1;
    if (output >= 0) {
        if ((int)a->index != output || a->type != 0 || m->size < a->n_elems * sizeof(float)) return -5;
        c->outputs[output] = m;
        return 0;
    }
    if (a->index != 0 || a->fmt != 1 || (int)a->type != c->type || a->pass_through || m->size < a->size_with_stride) return -5;
    c->bound = m;
    return 0;
}

static float half(uint16_t h) {
    int exponent = h >> 10 & 31, fraction = h & 1023;
    float value = exponent ? (1024 + fraction) / 1024.0f : fraction / 512.0f;
    for (int e = exponent; e > 15; e--) value *= 2;
    for (int e = exponent; e < 15; e++) value /= 2;
    return h >> 15 ? -value : value;
}

static void compute(context *c, int output, float *out) {
    int plane = c->height * c->width;
    if (output) {
        out[0] = c->mask, out[1] = c->input[(plane - 1) * c->channels], out[2] = c->bound != NULL;
        return;
    }
    for (int k = 0; k < c->channels; k++) {
        out[k] = 0;
        for (int p = 0; p < plane; p++) out[k] += c->input[p * c->channels + k];
        out[k] /= plane;
    }
}

int rknn_run(rknn_context handle, void *extend) {
    (void)extend;
    context *c = of(handle);
    int code = fails(c, RUN);
    if (code) return code;
    if (!c->bound && !c->copies) return -8;
    if (c->bound)
        for (int y = 0; y < c->height; y++)
            for (int i = 0; i < c->width * c->channels; i++) {
                size_t at = (size_t)y * c->stride * c->channels + i;
                float *to = &c->input[y * c->width * c->channels + i];
                if (c->type == 1) *to = half(((uint16_t *)c->bound->virt_addr)[at]);
                else *to = (((int8_t *)c->bound->virt_addr)[at] + 3) * 0.5f;
            }
    if (c->bound) {
        if (!c->outputs[0] || !c->outputs[1]) return -9;
        compute(c, 0, c->outputs[0]->virt_addr);
        compute(c, 1, c->outputs[1]->virt_addr);
    }
    c->ran = 1;
    return 0;
}

int rknn_outputs_get(rknn_context handle, uint32_t n, rknn_output outputs[], void *extend) {
    (void)extend;
    context *c = of(handle);
    int code = fails(c, OUTPUTS);
    if (code) return code;
    if (!c->ran || n != 2 || c->bound) return -9; /* what is bound is not asked for */
    for (uint32_t i = 0; i < n; i++) {
        if (!outputs[i].want_float || !outputs[i].is_prealloc || outputs[i].index != i) return -9;
        if (outputs[i].size != (i ? 3 : c->channels) * sizeof(float)) return -9;
        compute(c, i, outputs[i].buf);
    }
    c->ran = 0;
    return 0;
}

int rknn_outputs_release(rknn_context handle, uint32_t n, rknn_output outputs[]) {
    (void)handle, (void)n, (void)outputs;
    return 0;
}
