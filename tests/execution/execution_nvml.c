/* NVIDIA's management library of a machine with two cards, as far as speedd asks it: the binary interface of NVML,
 * without a card. FAKE_NVML says what is wrong: "no driver", "lost" (a card fell off its bus) or "container" (whose
 * processes have other numbers). FAKE_NVML_PID has 2 GiB of each card, and others have 5 of the 8. */
#include <stdlib.h>
#include <string.h>

typedef struct { unsigned long long total, free, used; } Memory;
typedef struct { unsigned int pid; unsigned long long used; unsigned int instance, compute; } Process;
enum { SUCCESS = 0, INVALID = 2, INSUFFICIENT_SIZE = 7, NO_DRIVER = 9, LOST = 15 };

static const unsigned long long GIB = 1ull << 30;
static int cards[2];

static int is(const char *wrong) {
    const char *said = getenv("FAKE_NVML");
    return said && strcmp(said, wrong) == 0;
}

int nvmlInitWithFlags(unsigned int flags) { return flags * 0 + (is("no driver") ? NO_DRIVER : SUCCESS); }
int nvmlInit_v2(void) { return nvmlInitWithFlags(0); }
int nvmlShutdown(void) { return SUCCESS; }
const char *nvmlErrorString(int code) { return code == NO_DRIVER ? "Driver Not Loaded" : "Some Error"; }

int nvmlDeviceGetHandleByIndex_v2(unsigned int index, void **card) {
    if (index > 1) return INVALID;
    *card = &cards[index];
    return SUCCESS;
}

int nvmlDeviceGetHandleByUUID(const char *uuid, void **card) {
    if (strcmp(uuid, "GPU-1")) return INVALID;
    *card = &cards[1];
    return SUCCESS;
}

int nvmlDeviceGetMemoryInfo(void *card, Memory *memory) {
    if (is("lost")) return LOST;
    memory->total = 8 * GIB;
    memory->free = card == &cards[0] ? 1 * GIB : 6 * GIB;
    memory->used = memory->total - memory->free;
    return SUCCESS;
}

int nvmlDeviceGetComputeRunningProcesses_v3(void *card, unsigned int *count, Process *processes) {
    if (card != &cards[0]) { *count = 0; return SUCCESS; }
    if (*count < 2) { *count = 2; return INSUFFICIENT_SIZE; }
    const char *pid = getenv("FAKE_NVML_PID");
    processes[0] = (Process){1, 5 * GIB, 0, 0};
    processes[1] = (Process){pid ? atoi(pid) : 2, is("container") ? ~0ull : 2 * GIB, 0, 0};
    *count = 2;
    return SUCCESS;
}
