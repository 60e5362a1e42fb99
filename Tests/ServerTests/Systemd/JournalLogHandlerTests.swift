import Foundation
import Logging
import Testing

@testable import Server

@Suite struct JournalLogHandlerTests {
    @Test func entriesCarryFields() throws {
        let name = "@trainyard-journal-\(getpid())"
        let receiver = try ServiceNotificationTests.Receiver(path: name)
        var handler = try #require(
            JournalLogHandler(
                label: "trainyardd", stream: "8:77", standardError: "socket:[77]", socket: name))
        handler.logLevel = .info
        handler[metadataKey: "run"] = "17"
        let logger = Logger(label: "trainyardd", factory: { _ in handler })
        logger.error("two\nlines", metadata: ["node-id": "3"])
        let entry = receiver.next()
        #expect(entry.hasPrefix("MESSAGE\n\u{9}\0\0\0\0\0\0\0two\nlines\nPRIORITY=3\nSYSLOG_IDENTIFIER=trainyardd\n"))
        #expect(entry.contains("\nCODE_FUNC=entriesCarryFields()\n"))
        #expect(entry.hasSuffix("\nTRAINYARD_NODE_ID=3\nTRAINYARD_RUN=17\n"))
        logger.notice("one line")
        #expect(receiver.next().hasPrefix("MESSAGE=one line\nPRIORITY=5\n"))
    }

    @Test func onlyWhenStandardErrorIsTheJournal() {
        func handler(_ stream: String?, _ standardError: String?, _ socket: String = "@journal") -> Bool {
            JournalLogHandler(label: "a", stream: stream, standardError: standardError, socket: socket) != nil
        }
        #expect(handler("8:77", "socket:[77]"))
        #expect(!handler(nil, "socket:[77]"))
        #expect(!handler("8:78", "socket:[77]"))
        #expect(!handler("8:77", "/dev/pts/77"))
        #expect(!handler("8:77", nil))
        #expect(!handler("8:77", "socket:[77]", "relative"))
    }

    @Test func namesAreOnesThatTheJournalTakes() {
        #expect(JournalEntry.fieldName("waiting_records") == "TRAINYARD_WAITING_RECORDS")
        #expect(JournalEntry.fieldName("hb.id-é") == "TRAINYARD_HB_ID___")
        #expect(JournalEntry.fieldName(String(repeating: "x", count: 100)).utf8.count == 64)
    }

    @Test func longValuesAreCut() {
        var entry = JournalEntry()
        entry.add("MESSAGE", String(repeating: "a", count: 100), longest: 10)
        #expect(String(decoding: entry.bytes, as: UTF8.self) == "MESSAGE=aaaaaaaaaa\n")
    }
}
