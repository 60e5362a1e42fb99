#ifndef TRAINYARD_CZLIB_SHIM_H
#define TRAINYARD_CZLIB_SHIM_H

#include <zlib.h>

/* inflateInit2 is a macro, which Swift cannot call. 47 = 15 window bits + 32: gzip or zlib, told by the header. */
static inline int trainyard_inflate_begin(z_stream *stream) { return inflateInit2(stream, 47); }

/* deflateInit2 likewise. 31 = 15 window bits + 16: a gzip header and trailer. */
static inline int trainyard_deflate_begin(z_stream *stream, int level) {
    return deflateInit2(stream, level, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY);
}

#endif
