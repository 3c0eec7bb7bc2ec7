/* What tells of a card's memory and of how busy it is, as libnvidia-ml.so.1 of driver 550 does.

   FAKE_CUDA_DEVICES  how many cards there are (default 1)
   FAKE_NVML_FREE     free memory of each in MB (default 20000 of 24576)
   FAKE_NVML_BUSY     how busy each is, in percent (default 0) */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef int Result;
typedef struct { unsigned long long total, free, used; } Memory;
typedef struct { unsigned gpu, memory; } Busy;
typedef struct { char legacy[16]; unsigned numbers[5]; char bus_id[32]; } Bus;

static int told(const char *name, int otherwise) {
    const char *text = getenv(name);
    return text ? atoi(text) : otherwise;
}

Result nvmlInit_v2(void) { return 0; }
Result nvmlShutdown(void) { return 0; }

Result nvmlSystemGetDriverVersion(char *text, unsigned length) {
    snprintf(text, length, "550.54.14");
    return 0;
}

Result nvmlDeviceGetCount_v2(unsigned *count) {
    *count = told("FAKE_CUDA_DEVICES", 1);
    return 0;
}

Result nvmlDeviceGetHandleByIndex_v2(unsigned index, void **device) {
    *device = (void *)(size_t)(index + 1);
    return 0;
}

Result nvmlDeviceGetPciInfo_v3(void *device, Bus *bus) {
    memset(bus, 0, sizeof *bus);
    snprintf(bus->bus_id, sizeof bus->bus_id, "00000000:%02X:00.0", (int)(size_t)device);
    return 0;
}

Result nvmlDeviceGetMemoryInfo(void *device, Memory *memory) {
    memory->total = 24576ull << 20;
    memory->free = (unsigned long long)told("FAKE_NVML_FREE", 20000) << 20;
    memory->used = memory->total - memory->free;
    return 0;
}

Result nvmlDeviceGetUtilizationRates(void *device, Busy *busy) {
    busy->gpu = told("FAKE_NVML_BUSY", 0);
    busy->memory = 0;
    return 0;
}
