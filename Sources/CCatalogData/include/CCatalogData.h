#pragma once
int ccatalog_placeholder(void);
