#ifndef CCATALOGDATA_H
#define CCATALOGDATA_H

#include <stddef.h>

/// A catalogue file as it stood when the program was built.
struct trainyard_catalog_file {
    const char *name;
    const unsigned char *bytes;
    size_t size;
};

int trainyard_catalog_file_count(void);

/// `index` lies in 0 ..< trainyard_catalog_file_count().
struct trainyard_catalog_file trainyard_catalog_file_at(int index);

#endif
