#include "CComparators.h"
int comparators_placeholder(void) { return 0; }
