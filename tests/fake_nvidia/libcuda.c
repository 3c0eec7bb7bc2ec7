/* A driver without a card: what FFmpeg asks of libcuda.so.1. "Device" memory is ordinary memory.

   FAKE_CUDA_LOG      a file that gets a line for each thing that is worth a test
   FAKE_CUDA_DEVICES  how many cards there are (default 1); CUDA_VISIBLE_DEVICES chooses and numbers
                      them, by number or UUID (GPU-00000000-0000-0000-0000-00000000000N, N from 1)
   FAKE_CUDA_UUID     "none": they have no UUID, as with a driver that is too old for that
   FAKE_CUDA_INIT     what cuInit answers, as a number (a driver that is too old: 803)
   FAKE_CUDA_VERSION  the newest CUDA that the driver runs (default 12040, which is 12.4)

   As with CUDA, a process whose parent has called cuInit cannot use it: "cuInit AFTER FORK". */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef int Result;
typedef unsigned long long Pointer;
enum { SUCCESS = 0, OUT_OF_MEMORY = 2, NOT_INITIALIZED = 3 };

static pid_t ready; /* the process that has called cuInit */
static __thread void *current;

static void say(const char *what) {
    const char *path = getenv("FAKE_CUDA_LOG");
    FILE *log = path ? fopen(path, "a") : NULL;
    if (!log) return;
    fprintf(log, "%d %s\n", (int)getpid(), what);
    fclose(log);
}

Result cuInit(unsigned flags) {
    if (ready && ready != getpid()) {
        say("cuInit AFTER FORK");
        return NOT_INITIALIZED;
    }
    if (!ready) say("cuInit");
    if (getenv("FAKE_CUDA_INIT")) return atoi(getenv("FAKE_CUDA_INIT"));
    ready = getpid();
    return SUCCESS;
}

/* Which card of the machine a process sees as its `device`; -1 behind the last one. */
static int seen(int device) {
    const char *count = getenv("FAKE_CUDA_DEVICES"), *shown = getenv("CUDA_VISIBLE_DEVICES");
    int cards = count ? atoi(count) : 1, card = device;
    if (shown) {
        for (; device > 0 && shown; device--) shown = (shown = strchr(shown, ',')) ? shown + 1 : NULL;
        if (!shown || !*shown) return -1;
        card = strncmp(shown, "GPU-", 4) ? atoi(shown) : (int)strtol(shown + 4 + 24, NULL, 16) - 1;
    }
    return card < cards ? card : -1;
}

Result cuDeviceGetCount(int *count) {
    if (ready != getpid()) return NOT_INITIALIZED;
    for (*count = 0; seen(*count) >= 0; ++*count);
    return SUCCESS;
}

Result cuDeviceGetUuid_v2(char *uuid, int device) {
    const char *asked = getenv("FAKE_CUDA_UUID");
    memset(uuid, 0, 16);
    if (asked && !strcmp(asked, "none")) return NOT_INITIALIZED;
    uuid[15] = (char)(seen(device) + 1);
    return SUCCESS;
}

Result cuDeviceGet(int *device, int ordinal) {
    *device = ordinal;
    return ready == getpid() ? SUCCESS : NOT_INITIALIZED;
}

Result cuDeviceGetName(char *name, int length, int device) {
    snprintf(name, length, "No card %d", device);
    return SUCCESS;
}

Result cuDeviceComputeCapability(int *major, int *minor, int device) {
    *major = 8;
    *minor = 6;
    return SUCCESS;
}

Result cuDeviceGetAttribute(int *value, int attribute, int device) {
    *value = attribute == 75 ? 8 : attribute == 76 ? 6 : 512; /* compute capability */
    return SUCCESS;
}

Result cuDeviceTotalMem_v2(size_t *bytes, int device) {
    *bytes = (size_t)24 << 30;
    return SUCCESS;
}

Result cuDeviceGetPCIBusId(char *text, int length, int device) {
    snprintf(text, length, "0000:%02x:00.0", seen(device) + 1);
    return SUCCESS;
}

Result cuDriverGetVersion(int *version) {
    const char *asked = getenv("FAKE_CUDA_VERSION");
    *version = asked ? atoi(asked) : 12040;
    return SUCCESS;
}

Result cuCtxCreate_v2(void **context, unsigned flags, int device) {
    if (ready != getpid()) return NOT_INITIALIZED;
    current = *context = malloc(16);
    say("context");
    return SUCCESS;
}

static int primary; /* how often the device's own context is in use */
static unsigned primary_flags;

Result cuDevicePrimaryCtxSetFlags_v2(int device, unsigned flags) {
    primary_flags = flags;
    return SUCCESS;
}

Result cuDevicePrimaryCtxSetFlags(int device, unsigned flags) { return cuDevicePrimaryCtxSetFlags_v2(device, flags); }

Result cuDevicePrimaryCtxRetain(void **context, int device) {
    char what[40];
    if (ready != getpid()) return NOT_INITIALIZED;
    *context = &primary;
    snprintf(what, sizeof what, "context of device %d", device);
    if (!primary++) say(what);
    return SUCCESS;
}

Result cuDevicePrimaryCtxRelease(int device) {
    primary--;
    return SUCCESS;
}

Result cuDevicePrimaryCtxGetState(int device, unsigned *flags, int *active) {
    *flags = primary_flags;
    *active = primary > 0;
    return SUCCESS;
}

Result cuCtxPushCurrent_v2(void *context) {
    current = context;
    return SUCCESS;
}

Result cuCtxPopCurrent_v2(void **context) {
    if (context) *context = current;
    return SUCCESS;
}

Result cuCtxGetCurrent(void **context) {
    *context = current;
    return SUCCESS;
}

Result cuMemAlloc_v2(Pointer *memory, size_t size) {
    *memory = (Pointer)malloc(size);
    return *memory ? SUCCESS : OUT_OF_MEMORY;
}

Result cuMemAllocPitch_v2(Pointer *memory, size_t *pitch, size_t width, size_t height, unsigned element) {
    *pitch = (width + 511) & ~(size_t)511;
    return cuMemAlloc_v2(memory, *pitch * height);
}

Result cuMemFree_v2(Pointer memory) {
    free((void *)memory);
    return SUCCESS;
}

typedef struct {
    size_t x, y;
    int kind; /* 1: the host's memory */
    const void *host;
    Pointer device;
    void *array;
    size_t pitch;
} End;

typedef struct {
    End from, to;
    size_t width, height;
} Copy;

static char *start(const End *end) {
    const char *base = end->kind == 1 ? end->host : (const char *)end->device;
    return (char *)base + end->y * end->pitch + end->x;
}

Result cuMemcpy2DAsync_v2(const Copy *copy, void *stream) {
    if (copy->to.kind == 1) say("download");
    for (size_t row = 0; row < copy->height; row++)
        memcpy(start(&copy->to) + row * copy->to.pitch, start(&copy->from) + row * copy->from.pitch, copy->width);
    return SUCCESS;
}

Result cuMemcpy2D_v2(const Copy *copy) { return cuMemcpy2DAsync_v2(copy, NULL); }

Result cuStreamCreate(void **stream, unsigned flags) {
    *stream = (void *)1;
    return SUCCESS;
}

Result cuGetErrorName(Result error, const char **name) {
    *name = error == OUT_OF_MEMORY     ? "CUDA_ERROR_OUT_OF_MEMORY"
            : error == NOT_INITIALIZED ? "CUDA_ERROR_NOT_INITIALIZED"
                                       : "CUDA_ERROR_UNKNOWN";
    return SUCCESS;
}

Result cuGetErrorString(Result error, const char **text) { return cuGetErrorName(error, text); }

/* What has to be there for the library to be loaded; nothing here calls it in earnest. */
#define DONE(name) Result name(void) { return SUCCESS; }
DONE(cuArray3DCreate_v2) DONE(cuArrayCreate_v2) DONE(cuArrayDestroy)
DONE(cuCtxDestroy_v2) DONE(cuCtxGetDevice) DONE(cuCtxSetLimit)
DONE(cuDestroyExternalMemory) DONE(cuDestroyExternalSemaphore) DONE(cuDeviceGetByPCIBusId)
DONE(cuDeviceGetLuid) DONE(cuDeviceGetUuid)
DONE(cuDevicePrimaryCtxReset)
DONE(cuEGLStreamConsumerDisconnect) DONE(cuEGLStreamProducerConnect) DONE(cuEGLStreamProducerDisconnect)
DONE(cuEGLStreamProducerPresentFrame) DONE(cuEGLStreamProducerReturnFrame) DONE(cuEventCreate)
DONE(cuEventDestroy_v2) DONE(cuEventQuery) DONE(cuEventRecord)
DONE(cuEventSynchronize) DONE(cuExternalMemoryGetMappedBuffer) DONE(cuExternalMemoryGetMappedMipmappedArray)
DONE(cuGLGetDevices_v2) DONE(cuGraphicsGLRegisterImage) DONE(cuGraphicsMapResources)
DONE(cuGraphicsResourceGetMappedPointer_v2) DONE(cuGraphicsSubResourceGetMappedArray) DONE(cuGraphicsUnmapResources)
DONE(cuGraphicsUnregisterResource) DONE(cuImportExternalMemory) DONE(cuImportExternalSemaphore)
DONE(cuLaunchKernel) DONE(cuLinkAddData) DONE(cuLinkComplete)
DONE(cuLinkCreate) DONE(cuLinkDestroy) DONE(cuMemAllocManaged)
DONE(cuMemcpy) DONE(cuMemcpyAsync) DONE(cuMemcpyDtoDAsync_v2)
DONE(cuMemcpyDtoD_v2) DONE(cuMemcpyDtoHAsync_v2) DONE(cuMemcpyDtoH_v2)
DONE(cuMemcpyHtoDAsync_v2) DONE(cuMemcpyHtoD_v2) DONE(cuMemsetD8Async)
DONE(cuMipmappedArrayDestroy) DONE(cuMipmappedArrayGetLevel) DONE(cuModuleGetFunction)
DONE(cuModuleGetGlobal) DONE(cuModuleLoadData) DONE(cuModuleUnload)
DONE(cuSignalExternalSemaphoresAsync) DONE(cuStreamAddCallback) DONE(cuStreamDestroy_v2)
DONE(cuStreamQuery) DONE(cuStreamSynchronize) DONE(cuStreamWaitEvent)
DONE(cuTexObjectCreate) DONE(cuTexObjectDestroy) DONE(cuWaitExternalSemaphoresAsync)
