import Foundation
import NIOSSL

/// A certificate for localhost that the `openssl` program makes.
struct TestCertificate {
    let certificate: String
    let key: String

    /// Nil, saying so, where the program is missing.
    static func make() throws -> TestCertificate? {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("load-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        let (certificate, key) = (
            folder.appendingPathComponent("c.pem").path, folder.appendingPathComponent("k.pem").path
        )
        let program = Process()
        program.executableURL = URL(fileURLWithPath: "/usr/bin/openssl")
        program.arguments = [
            "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
            "-subj",
            "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", key, "-out",
            certificate,
        ]
        program.standardError = FileHandle.nullDevice
        guard (try? program.run()) != nil else {
            FileHandle.standardError.write(Data("skipped: no /usr/bin/openssl\n".utf8))
            return nil
        }
        program.waitUntilExit()
        return program.terminationStatus == 0 ? TestCertificate(certificate: certificate, key: key) : nil
    }

    /// A server's side of TLS.
    ///
    /// - Parameter protocols: those that it offers (ALPN).
    func serverContext(protocols: [String] = []) throws -> NIOSSLContext {
        var settings = TLSConfiguration.makeServerConfiguration(
            certificateChain: try NIOSSLCertificate.fromPEMFile(certificate).map { .certificate($0) },
            privateKey: .privateKey(try NIOSSLPrivateKey(file: key, format: .pem))
        )
        settings.applicationProtocols = protocols
        return try NIOSSLContext(configuration: settings)
    }
}
