import Foundation
import NIOCore
import NIOPosix
import NIOSSL
import Testing
import Workload

@testable import LoadGenerator

/// TLS with a certificate that the test makes with the `openssl` program; skipped, saying so, where that is missing.
@Suite struct SecureTests {
    private func certificate() throws -> (certificate: String, key: String)? {
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
        return program.terminationStatus == 0 ? (certificate, key) : nil
    }

    @Test func secureServersAreMeasuredAndVerified() async throws {
        guard let files = try certificate() else { return }
        let settings = TLSConfiguration.makeServerConfiguration(
            certificateChain: try NIOSSLCertificate.fromPEMFile(files.certificate).map { .certificate($0) },
            privateKey: .privateKey(try NIOSSLPrivateKey(file: files.key, format: .pem))
        )
        let server = try await MockServer(tls: NIOSSLContext(configuration: settings)) { _ in
            .stream(ttft: 0, itl: 0, chunks: 4)
        }
        let text = "prompt_tokens,output_tokens\n8,4\n"
        let workload = try Workload(
            WorkloadDescription(parsing: "lengths:t?concurrency=2&limit=20"), bytes: Array(text.utf8))
        let target = try LoadTarget(parsing: "https://localhost:\(server.port)")
        var configuration = LoadConfiguration(target: target, model: "mock")
        configuration.rootCertificatePath = files.certificate
        let measured = try await LoadRun(LoadSchedule(workload), configuration).run().measurements
        #expect(measured.completed == 20, "\(measured.statuses) \(measured.firstFailures)")
        #expect(measured.connections == 2)
        configuration.rootCertificatePath = nil
        let unverified = try await LoadRun(LoadSchedule(workload), configuration).run().measurements
        #expect(
            unverified.completed == 0 && unverified.failed == 20, "a certificate that nobody vouches for is refused")
        configuration.verifiesCertificates = false
        let insecure = try await LoadRun(LoadSchedule(workload), configuration).run().measurements
        #expect(insecure.completed == 20)
        try await server.stop()
    }
}
