//===----------------------------------------------------------------------===//
// The normal law's density.
//===----------------------------------------------------------------------===//

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

enum PortableNormal {
    /// Density of the standard normal law at `z`.
    static func density(_ z: Double) -> Double { exp(-z * z / 2) * 0.3989422804014327 }
}
