//===----------------------------------------------------------------------===//
// Numbers, tables, rows.
//===----------------------------------------------------------------------===//

import Engine
import Testing

@testable import Report

@Suite struct NumberTextTests {
    @Test func significantDigits() {
        #expect(NumberText.significant(0.0123456) == "0.01235")
        #expect(NumberText.significant(1.23456) == "1.235")
        #expect(NumberText.significant(12.3456) == "12.35")
        #expect(NumberText.significant(1234.56) == "1,235")
        #expect(NumberText.significant(1_234_567.8) == "1,234,568")
        #expect(NumberText.significant(0.99999) == "1.0000")
        #expect(NumberText.significant(-2.5) == "-2.500")
        #expect(NumberText.significant(0) == "0")
        #expect(NumberText.significant(nil) == "-")
        #expect(NumberText.significant(.infinity) == "-")
    }

    @Test func fixedDecimalsRoundAndCarry() {
        #expect(NumberText.fixed(1.999, decimals: 2) == "2.00")
        #expect(NumberText.fixed(0.004, decimals: 2) == "0.00")
        #expect(NumberText.fixed(-0.004, decimals: 2) == "0.00")
        #expect(NumberText.fixed(-1.5, decimals: 0) == "-2")
        #expect(NumberText.fixed(143.0432, decimals: 2) == "143.04")
        #expect(NumberText.grouped(1_234_567) == "1,234,567")
        #expect(NumberText.grouped(-999) == "-999")
        #expect(NumberText.ratio(0.5) == "0.50x")
    }

    @Test func nanosecondsAreExact() {
        #expect(NumberText.seconds(nanoseconds: 1) == "0.000000001")
        #expect(NumberText.seconds(nanoseconds: 12_345_678_901) == "12.345678901")
        #expect(NumberText.seconds(nanoseconds: -1_500_000_000) == "-1.500000000")
    }
}

@Suite struct TextTableTests {
    @Test func columnsAreAligned() {
        var table = TextTable()
        table.add(["name", "ms", "1"])
        table.rule()
        table.add(["long name", "s", "1,000"])
        #expect(table.text == "name       ms      1\n--------------------\nlong name   s  1,000\n")
    }
}

@Suite struct RequestRowsTests {
    @Test func rowsAreSortedAndExact() throws {
        var finished = Completion(
            requestID: 7, arrivalNanoseconds: 1_000_000_001, scheduledNanoseconds: 1_500_000_001,
            firstTokenNanoseconds: 2_000_000_000, lastTokenNanoseconds: 3_000_000_000, promptTokens: 10,
            cachedPromptTokens: 4,
            outputTokens: 5, preemptions: 0, replica: 2, session: 9, tenant: 1, frontEnd: 0, priorityClass: 0,
            status: .finished)
        var rejected = finished
        rejected.requestID = 3
        rejected.scheduledNanoseconds = -1
        rejected.firstTokenNanoseconds = -1
        rejected.status = .rejected
        rejected.tenant = 4
        finished.priorityClass = 1
        var text = ""
        RequestRows.write([finished, rejected], tenants: ["acme, inc"], classes: ["chat"]) { text += $0 }
        let lines = text.split(separator: "\n")
        #expect(
            lines[0]
                == "id,tenant,session,class,arrival_s,queued_s,first_token_s,last_token_s,prompt_tokens,cached_tokens,output_tokens,replica,status"
        )
        #expect(lines[1] == "3,4,9,chat,1.000000001,,,3.000000000,10,4,5,2,rejected")
        #expect(lines[2] == "7,\"acme, inc\",9,1,1.000000001,0.500000000,2.000000000,3.000000000,10,4,5,2,finished")
        #expect(lines.count == 3)
    }
}
