import Foundation
import Testing
import Workload

/// A small folder of client statistics, made by the test.
@Suite struct ServeGenTests {
    private func folder() throws -> String {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("servegen-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        let rates = """
            client,time_s,rate_rps,iat_cv,dist,arg1,arg2
            3,0,4,1,Gamma,1,1
            3,600,20,1,Gamma,1,1
            7,600,2,2,Weibull,0.5,1
            """
        let lengths = """
            {"client":3,"time_s":0,"input_tokens":[[10,0.25],[20,0.75]],"output_tokens":[[5,1.0]]}
            {"client":3,"time_s":600,"text_tokens":[[100,1.0]],"image_tokens":[[50,1.0]],"image_count":[[2,1.0]],"output_tokens":[[6,1.0]]}
            """
        try rates.write(to: folder.appendingPathComponent("m.client_rates.csv"), atomically: true, encoding: .utf8)
        try lengths.write(
            to: folder.appendingPathComponent("m.client_lengths.jsonl"), atomically: true, encoding: .utf8)
        return folder.path
    }

    @Test func everyWindowHasItsRateAndLengths() throws {
        let path = try folder()
        let opened = try Workload.open("servegen:\(path)")
        let read = try requests(opened)
        let first = read.filter { $0.arrivalNanoseconds < 600_000_000_000 }
        let second = read.filter { $0.arrivalNanoseconds >= 600_000_000_000 }
        // 2,400 and 13,200 expected; Weibull gaps of shape 0.5 have a squared variation of 5, so 1,200 of them spread
        // by 77.
        #expect((2_180...2_620).contains(first.count), "\(first.count)")
        #expect((12_600...13_800).contains(second.count), "\(second.count)")
        #expect(first.allSatisfy { ($0.promptTokens == 10 || $0.promptTokens == 20) && $0.outputTokens == 5 })
        let short = Double(first.count { $0.promptTokens == 10 }) / Double(first.count)
        #expect(short > 0.21 && short < 0.29)
        #expect(
            second.allSatisfy { $0.promptTokens == 200 && $0.outputTokens == 6 }, "100 of text and two images of 50")
        #expect(opened.provenance.assumptions.contains { $0.contains("1 of 2 clients borrow") })
        #expect(zip(read, read.dropFirst()).allSatisfy { $0.arrivalNanoseconds <= $1.arrivalNanoseconds })
    }

    @Test func rateAndWindowApply() throws {
        let path = try folder()
        let paced = try requests(Workload.open("servegen:\(path)?window=600..1200&rate=11"))
        #expect((6_170...7_030).contains(paced.count), "\(paced.count)")
        #expect(paced.allSatisfy { $0.promptTokens == 200 && $0.arrivalNanoseconds < 600_000_000_000 })
        let again = try requests(Workload.open("servegen:\(path)?window=600..1200&rate=11"))
        #expect(paced.map(\.arrivalNanoseconds) == again.map(\.arrivalNanoseconds))
    }
}
