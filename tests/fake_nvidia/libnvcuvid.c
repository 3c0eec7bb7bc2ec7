/* The video engine of a card of the GA102 kind, as FFmpeg asks libnvcuvid.so.1 for it: what it takes
   and what it refuses is from public tables. Pictures are made up; each differs from the last.

   FAKE_NVDEC_MEMORY=full    no decoder can be created
   FAKE_NVDEC_REFUSES=N      each decoder refuses its pictures from number N on (0 is the first) */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SUCCESS = 0, INVALID_VALUE = 1, OUT_OF_MEMORY = 2, UNKNOWN = 999 };
enum { MPEG1, MPEG2, MPEG4, VC1, H264, JPEG, H264_SVC, H264_MVC, HEVC, VP8, VP9, AV1 };
enum { SURFACES = 64, CHROMA_420 = 1, CHROMA_444 = 3 };

typedef struct {
    int codec, chroma;
    unsigned bits; /* beyond 8 */
    unsigned reserved[3];
    unsigned char supported, engines;
    unsigned short outputs;
    unsigned max_width, max_height, max_macroblocks;
    unsigned short min_width, min_height;
} Caps;

typedef struct {
    unsigned long width, height, surfaces;
    int codec, chroma;
    unsigned long flags, bits;
} Wanted;

typedef struct {
    unsigned char *surface[SURFACES];
    size_t pitch, height;
    int count;
} Decoder;

typedef struct {
    int width, height, surface; /* sizes in macroblocks */
} Picture;

static void say(const char *what) {
    const char *path = getenv("FAKE_CUDA_LOG");
    FILE *log = path ? fopen(path, "a") : NULL;
    if (!log) return;
    fprintf(log, "%d %s\n", (int)getpid(), what);
    fclose(log);
}

int cuvidGetDecoderCaps(Caps *caps) {
    int codec = caps->codec, large = codec == HEVC || codec == VP9 || codec == AV1;
    int small = codec == MPEG4 || codec == VC1;
    caps->supported = caps->bits == 0 && caps->chroma == CHROMA_420;
    if (codec == HEVC)
        caps->supported = caps->bits <= 4 && (caps->chroma == CHROMA_420 || caps->chroma == CHROMA_444);
    if (codec == VP9 || codec == AV1) caps->supported = caps->bits <= 4 && caps->chroma == CHROMA_420;
    caps->engines = 1;
    caps->outputs = 0xffff;
    caps->max_width = large ? 8192 : small ? 2048 : 4096;
    caps->max_height = large ? 8192 : small ? 1024 : 4096;
    caps->max_macroblocks = large ? 262144 : small ? 8192 : 65536;
    caps->min_width = 48;
    caps->min_height = 16;
    return SUCCESS;
}

int cuvidCreateDecoder(void **made, Wanted *wanted) {
    const char *memory = getenv("FAKE_NVDEC_MEMORY");
    if (memory && !strcmp(memory, "full")) {
        say("no memory");
        return OUT_OF_MEMORY;
    }
    Decoder *decoder = calloc(1, sizeof *decoder);
    decoder->pitch = (wanted->width * (wanted->bits ? 2 : 1) + 255) & ~(size_t)255;
    decoder->height = (wanted->height + 15) & ~(size_t)15;
    *made = decoder;
    say("decoder");
    return SUCCESS;
}

int cuvidDecodePicture(Decoder *decoder, Picture *picture) {
    const char *refuses = getenv("FAKE_NVDEC_REFUSES");
    size_t luma = decoder->pitch * decoder->height;
    unsigned char **surface = &decoder->surface[picture->surface];
    if (refuses && decoder->count >= atoi(refuses)) {
        say("refused");
        return UNKNOWN;
    }
    if (!*surface) *surface = malloc(luma * 3);
    memset(*surface, 16 + decoder->count * 37 % 200, luma);
    memset(*surface + luma, 128, luma);
    decoder->count++;
    return SUCCESS;
}

int cuvidMapVideoFrame64(Decoder *decoder, int surface, unsigned long long *memory, unsigned *pitch, void *how) {
    if (!decoder->surface[surface]) return INVALID_VALUE;
    *memory = (unsigned long long)decoder->surface[surface];
    *pitch = decoder->pitch;
    return SUCCESS;
}

int cuvidDestroyDecoder(Decoder *decoder) {
    for (int i = 0; i < SURFACES; i++) free(decoder->surface[i]);
    free(decoder);
    return SUCCESS;
}

int cuvidGetDecodeStatus(Decoder *decoder, int surface, int *status) {
    *status = 2; /* success */
    return SUCCESS;
}

/* What has to be there for the library to be loaded. */
#define DONE(name) int name(void) { return SUCCESS; }
DONE(cuvidUnmapVideoFrame64)
DONE(cuvidCreateVideoParser) DONE(cuvidCreateVideoSource) DONE(cuvidCreateVideoSourceW)
DONE(cuvidCtxLock) DONE(cuvidCtxLockCreate) DONE(cuvidCtxLockDestroy)
DONE(cuvidCtxUnlock) DONE(cuvidDestroyVideoParser) DONE(cuvidDestroyVideoSource)
DONE(cuvidGetSourceAudioFormat) DONE(cuvidGetSourceVideoFormat) DONE(cuvidGetVideoSourceState)
DONE(cuvidParseVideoData) DONE(cuvidReconfigureDecoder) DONE(cuvidSetVideoSourceState)
