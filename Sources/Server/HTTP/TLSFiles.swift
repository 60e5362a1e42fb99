//===----------------------------------------------------------------------===//
// TLS of the serving listeners.
//===----------------------------------------------------------------------===//

import NIOCore
import NIOSSL

/// The PEM files of a listener's certificate chain and private key.
struct TLSFiles: Sendable, Equatable {
    var certificate: String
    var key: String

    /// What goes in front of the HTTP decoder on each connection.
    /// - Throws: what NIOSSL says of the first file that cannot be used, with its name.
    func handler() throws -> (@Sendable (any Channel) throws -> Void) {
        let chain = try reading(certificate) { try NIOSSLCertificate.fromPEMFile($0) }
        let privateKey = try reading(key) { try NIOSSLPrivateKey(file: $0, format: .pem) }
        let context = try reading("\(certificate) with \(key)") { _ in
            try NIOSSLContext(
                configuration: .makeServerConfiguration(
                    certificateChain: chain.map { .certificate($0) }, privateKey: .privateKey(privateKey)))
        }
        return { try $0.pipeline.syncOperations.addHandler(NIOSSLServerHandler(context: context)) }
    }

    /// A TLS file that cannot be used.
    struct Unusable: Error, CustomStringConvertible {
        let file: String
        let reason: String
        var description: String { "cannot use the TLS file \(file): \(reason)" }
    }

    private func reading<Result>(_ file: String, _ body: (String) throws -> Result) throws -> Result {
        do { return try body(file) } catch { throw Unusable(file: file, reason: "\(error)") }
    }
}
