print("trainyardd")
