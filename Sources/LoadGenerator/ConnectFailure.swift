//===----------------------------------------------------------------------===//
// Why a connection could not be made, in the words of the system.
//===----------------------------------------------------------------------===//

import NIOCore
import NIOPosix

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

enum ConnectFailure {
    /// `Connection refused` and the like; the error's own description where the system has no words for it.
    static func reason(_ error: any Error) -> String {
        if let error = error as? IOError { return String(cString: strerror(error.errnoCode)) }
        if let error = error as? NIOConnectionError {
            if let first = error.connectionErrors.first { return reason(first.error) }
            if let lookup = error.dnsAError ?? error.dnsAAAAError { return "\(lookup)" }
        }
        return "\(error)"
    }
}
