//===----------------------------------------------------------------------===//
// Errors of the system in its own words.
//===----------------------------------------------------------------------===//

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

enum SystemFault {
    /// Nothing can be read or written now.
    static let wouldBlock = EAGAIN
    /// This process, or the system, has no descriptor left.
    static func isDescriptorLimit(_ code: Int32) -> Bool { code == EMFILE || code == ENFILE }

    /// `Connection refused` and the like.
    static func text(_ code: Int32) -> String { String(cString: strerror(code)) }
}
