import Testing
import Workload

@testable import LoadGenerator

/// TLS with a certificate that the test makes with the `openssl` program; skipped, saying so, where that is missing.
@Suite struct SecureTests {
    @Test func secureServersAreMeasuredAndVerified() async throws {
        guard let files = try TestCertificate.make() else { return }
        let server = try await MockServer(tls: try files.serverContext()) { _ in
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
