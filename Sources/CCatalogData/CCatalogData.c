int ccatalog_placeholder(void) { return 0; }
