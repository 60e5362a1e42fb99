#pragma once
#include <numa.h>
#include <numaif.h>
#include <sys/mman.h>
