//===----------------------------------------------------------------------===//
// The three elementary functions that drawing a length needs, from the C library.
//===----------------------------------------------------------------------===//

import Glibc

func logarithm(_ value: Double) -> Double { log(value) }
func cosine(_ value: Double) -> Double { cos(value) }
func exponential(_ value: Double) -> Double { exp(value) }
