// The catalogue's files, embedded, so that a moved or static binary still has them.
#include "CCatalogData.h"

// #embed is C23; the compiler takes it in every dialect and says so.
#pragma clang diagnostic ignored "-Wc23-extensions"

static const unsigned char sources[] = {
#embed "data/sources.json"
};
static const unsigned char accelerators[] = {
#embed "data/accelerators.json"
};
static const unsigned char instances[] = {
#embed "data/instances.json"
};
static const unsigned char models[] = {
#embed "data/models.json"
};
static const unsigned char regions[] = {
#embed "data/regions.json"
};
static const unsigned char facts[] = {
#embed "data/facts.json"
};
static const unsigned char prices[] = {
#embed "data/prices.csv"
};
static const unsigned char all_reduce[] = {
#embed "data/all-reduce.csv"
};
static const unsigned char matrix_efficiency[] = {
#embed "data/matrix-efficiency.csv"
};

static const unsigned char calibration[] = {
#embed "data/calibration.csv"
};

static const struct trainyard_catalog_file files[] = {
    {"sources.json", sources, sizeof sources},
    {"accelerators.json", accelerators, sizeof accelerators},
    {"instances.json", instances, sizeof instances},
    {"models.json", models, sizeof models},
    {"regions.json", regions, sizeof regions},
    {"facts.json", facts, sizeof facts},
    {"prices.csv", prices, sizeof prices},
    {"all-reduce.csv", all_reduce, sizeof all_reduce},
    {"calibration.csv", calibration, sizeof calibration},
    {"matrix-efficiency.csv", matrix_efficiency, sizeof matrix_efficiency},
};

int trainyard_catalog_file_count(void) { return (int)(sizeof files / sizeof files[0]); }

struct trainyard_catalog_file trainyard_catalog_file_at(int index) { return files[index]; }
