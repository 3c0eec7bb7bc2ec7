/* The video engine of a card of the GA102 kind, as FFmpeg asks libnvcuvid.so.1 for it: what it takes
   and what it refuses is from public tables. It decodes nothing: a picture is known by a key, made of
   its coded data and the key of the last picture that others are made from (of HEVC, the last intra
   picture), and is read from a file of that name. One that no file holds is made up; each of those
   differs from the last.

   FAKE_NVDEC_PICTURES=FOLDER  the pictures (see pictures.py)
   FAKE_NVDEC_KEYS=FILE        gets the key of each picture that is asked for
   FAKE_NVDEC_MEMORY=full      no decoder can be created
   FAKE_NVDEC_REFUSES=N        each decoder refuses its pictures from number N on (0 is the first)
   FAKE_NVDEC_OFF=LEVELS:N     ... adds levels (of 255) to the luma of its pictures from number N on
   FAKE_NVDEC_DROPS=N          ... leaves out picture N: the surface keeps what it held */
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
    unsigned long flags, bits, intra_only, max_width, max_height, reserved;
    short display_area[4];
    int output, deinterlace;
    unsigned long target_width, target_height;
} Wanted;

typedef struct {
    unsigned char *surface[SURFACES];
    size_t pitch, height, bytes; /* bytes of a level */
    int count, codec;
    unsigned long long base; /* the key of the last picture that others are made from */
} Decoder;

typedef struct {
    int width, height, surface; /* sizes in macroblocks */
    int is_field, is_bottom, is_second;
    unsigned length;
    const unsigned char *data;
    unsigned slices;
    const unsigned *offsets;
    int is_reference, is_intra;
} Picture;

typedef struct {
    unsigned row, rows, chroma_rows, planes; /* bytes of a row; planes of chroma */
} Stored;

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
    caps->engines = getenv("FAKE_NVDEC_ENGINES") ? atoi(getenv("FAKE_NVDEC_ENGINES")) : 1;
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
    decoder->codec = wanted->codec;
    decoder->bytes = wanted->bits ? 2 : 1;
    decoder->pitch = (wanted->target_width * decoder->bytes + 255) & ~(size_t)255;
    decoder->height = wanted->target_height;
    *made = decoder;
    say("decoder");
    return SUCCESS;
}

static unsigned long long key_of(Decoder *decoder, const Picture *picture) {
    unsigned long long key = 14695981039346656037ull ^ (picture->is_intra ? 0 : decoder->base);
    for (unsigned i = 0; i < picture->length; i++) key = (key ^ picture->data[i]) * 1099511628211ull;
    /* Of HEVC, FFmpeg calls every picture one that others are made from. */
    if (picture->is_intra || (picture->is_reference && decoder->codec != HEVC)) decoder->base = key;
    return key;
}

static void note(unsigned long long key) {
    const char *path = getenv("FAKE_NVDEC_KEYS");
    FILE *keys = path ? fopen(path, "a") : NULL;
    if (!keys) return;
    fprintf(keys, "%016llx\n", key);
    fclose(keys);
}

/* Fill a surface from the file of its key; 0 if there is none. */
static int is_read(const Decoder *decoder, unsigned char *surface, unsigned long long key) {
    char path[4096];
    Stored stored;
    const char *folder = getenv("FAKE_NVDEC_PICTURES");
    if (!folder) return 0;
    snprintf(path, sizeof path, "%s/%016llx", folder, key);
    FILE *file = fopen(path, "rb");
    if (!file) return 0;
    int whole = fread(&stored, sizeof stored, 1, file) == 1;
    for (unsigned plane = 0; whole && plane <= stored.planes; plane++) {
        for (unsigned y = 0; whole && y < (plane ? stored.chroma_rows : stored.rows); y++)
            whole = fread(surface + y * decoder->pitch, stored.row, 1, file) == 1;
        surface += decoder->pitch * decoder->height;
    }
    fclose(file);
    return whole;
}

static void brighten(const Decoder *decoder, unsigned char *surface, int levels) {
    for (size_t y = 0; y < decoder->height; y++)
        for (size_t x = decoder->bytes - 1; x < decoder->pitch; x += decoder->bytes) {
            unsigned char *level = surface + y * decoder->pitch + x;
            *level = *level + levels > 255 ? 255 : *level + levels;
        }
}

int cuvidDecodePicture(Decoder *decoder, Picture *picture) {
    const char *refuses = getenv("FAKE_NVDEC_REFUSES"), *drops = getenv("FAKE_NVDEC_DROPS");
    const char *off = getenv("FAKE_NVDEC_OFF"), *from = off ? strchr(off, ':') : NULL;
    size_t plane = decoder->pitch * decoder->height;
    unsigned char **surface = &decoder->surface[picture->surface];
    unsigned long long key = key_of(decoder, picture);
    int number = decoder->count++;
    note(key);
    if (refuses && number >= atoi(refuses)) {
        say("refused");
        return UNKNOWN;
    }
    if (!*surface) *surface = calloc(plane, 3);
    if (drops && number == atoi(drops)) return SUCCESS;
    if (!is_read(decoder, *surface, key)) {
        say("made up");
        memset(*surface, 16 + number * 37 % 200, plane);
        memset(*surface + plane, 128, plane * 2);
    }
    if (from && number >= atoi(from + 1)) brighten(decoder, *surface, atoi(off));
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
