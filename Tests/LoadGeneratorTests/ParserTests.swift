import Testing

@testable import LoadGenerator

@Suite struct TargetTests {
    @Test func understandsURLs() throws {
        let plain = try LoadTarget(parsing: "http://127.0.0.1:8080")
        #expect(plain.host == "127.0.0.1" && plain.port == 8080 && !plain.usesTLS && plain.pathPrefix.isEmpty)
        let openAI = try LoadTarget(parsing: "https://api.example.com/v1/")
        #expect(
            openAI.port == 443 && openAI.usesTLS && openAI.pathPrefix.isEmpty && openAI.hostHeader == "api.example.com")
        let prefixed = try LoadTarget(parsing: "http://[::1]:9000/gateway/v1")
        #expect(prefixed.host == "::1" && prefixed.port == 9000 && prefixed.pathPrefix == "/gateway")
        #expect(prefixed.hostHeader == "[::1]:9000")
        for bad in [
            "", "localhost:80", "ftp://x", "http://", "http://x:0", "http://x:70000", "http://x:y", "http://[::1",
        ] {
            #expect(throws: LoadError.self) { try LoadTarget(parsing: bad) }
        }
    }

    @Test func understandsPromises() throws {
        let promise = try RequestPromise(parsing: "ttft=200ms,tpot=50000us,e2e=5s")
        #expect(
            promise.ttft == 200_000_000 && promise.tpot == 50_000_000 && promise.e2e == 5_000_000_000
                && promise.itl == nil)
        #expect(try RequestPromise(parsing: "itl=0.5").itl == 500_000_000)
        for bad in ["", "ttft", "ttft=", "ttft=-1s", "tftt=1s", "ttft=1m"] {
            #expect(throws: LoadError.self) { try RequestPromise(parsing: bad) }
        }
    }
}
