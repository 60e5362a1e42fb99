#pragma once
#include <stdint.h>
int comparators_placeholder(void);
