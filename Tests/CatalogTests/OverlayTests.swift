import Foundation
import Testing

@testable import Catalog

@Suite("Catalogue directories")
struct OverlayTests {
    static let chip = """
        [
          {
            "id": "mychip", "name": "My chip", "aliases": ["mc1"], "family": "neuron",
            "peakFlopsPerSecond": {"bf16": {"value": 1e15, "grade": "measured", "source": "own bench", "date": "2026-11-20"}},
            "memoryBytes": {"value": 1e11, "grade": "published", "source": "neuron-arch",
              "alternatives": [{"value": 9e10, "grade": "measured", "source": "own bench", "date": "2026-11"}]}
          }
        ]
        """

    static let server = """
        [
          {
            "id": "my.server", "name": "My server", "accelerator": "mychip",
            "acceleratorCount": {"value": 4, "grade": "measured", "source": "own bench", "date": "2026-11-20"},
            "topology": {"kind": "ring", "dimensions": [4], "source": "own bench", "date": "2026-11-20"},
            "scaleUpDomain": {"value": 4, "grade": "measured", "source": "own bench", "date": "2026-11-20"}
          }
        ]
        """

    static let prices = """
        subject,per,basis,region,date,usd_per_hour,grade,source,note
        # mine
        my.server,instance,on-demand,any,2026-11-20,1.25,measured,bill,"a note, with a comma"

        """

    static let sources = #"{"bill": {"text": "my bill", "date": "2026-11-20"}}"#

    @Test("a directory adds to the built-in catalogue")
    func adds() throws {
        let files = [
            "accelerators.json": Self.chip, "instances.json": Self.server, "prices.csv": Self.prices,
            "sources.json": Self.sources,
        ]
        try withFolder(files) { folder in
            let catalog = try Catalog(directory: folder)
            let chip = try catalog.accelerator("MC1")
            #expect(chip.memoryBytes?.source.contains("AWS Neuron SDK") == true)
            #expect(chip.memoryBytes?.range == 9e10...1e11)
            let date = try #require(CalendarDay("2026-12-01"))
            let quote = try catalog.price("my.server", basis: .onDemand, region: "us-east-1", date: date)
            #expect(quote.microDollarsPerHour == 1_250_000)
            #expect(quote.price.note == "a note, with a comma")
            #expect(try catalog.model("llama-3.1-8b").id == "llama-3.1-8b")
            #expect(catalog.accelerators.count == Catalog.builtIn.accelerators.count + 1)
        }
    }

    @Test("an entry of the same id replaces the built-in one")
    func replaces() throws {
        let text = Self.chip.replacing("\"mychip\"", with: "\"h100\"").replacing("[\"mc1\"]", with: "[\"hopper\"]")
        try withFolder(["accelerators.json": text]) { folder in
            let catalog = try Catalog(directory: folder)
            #expect(try catalog.accelerator("h100").name == "My chip")
            #expect(try catalog.accelerator("hopper").name == "My chip")
            #expect(catalog.accelerators.count == Catalog.builtIn.accelerators.count)
        }
    }

    @Test(
        "a mistake is an error that names file, line and fix",
        arguments: [
            ("\"memoryBytes\"", "\"memoryByte\"", "unknown key \"memoryByte\"", "memoryBytes"),
            (
                "\"measured\", \"source\": \"own bench\", \"date\": \"2026-11-20\"}}",
                "\"guessed\", \"source\": \"x\", \"date\": \"2026-11-20\"}}", "no grade", "measured"
            ),
            ("\"neuron\"", "\"newron\"", "no family", "neuron"),
            ("\"neuron-arch\"", "\"neuron-arc\"", "no source", "neuron-arch"),
            ("2026-11\"", "2026-31\"", "no date", "2026-10-03"),
            ("1e11", "\"much\"", "expected a finite number", "string"),
            ("\"bf16\"", "\"bf61\"", "no precision", "bf16"),
            ("\"id\": \"mychip\", ", "", "\"id\" is missing", "accelerators.json"),
            ("{\"value\": 1e15,", "{", "\"value\" is missing", "accelerators.json"),
            ("\"aliases\": [\"mc1\"]", "\"aliases\": [\"trn2\"]", "already means", "trainium2"),
            ("]\n", "", "array", "accelerators.json"),
        ]
    )
    func mistakes(old: String, new: String, expected: String, hint: String) throws {
        let text = (Self.chip + "\n").replacing(old, with: new)
        #expect(text != Self.chip + "\n")
        try withFolder(["accelerators.json": text]) { folder in
            let error = catalogError { _ = try Catalog(directory: folder) }
            let description = error?.description ?? "no error"
            #expect(error?.kind == .malformed)
            #expect(description.contains(expected), "\(description)")
            #expect(description.contains(hint), "\(description)")
            #expect(description.contains("accelerators.json:"), "\(description)")
        }
    }

    @Test("the line of an error is the line of the mistake")
    func lines() throws {
        let text = Self.chip.replacing("1e11", with: "true")
        try withFolder(["accelerators.json": text]) { folder in
            let error = catalogError { _ = try Catalog(directory: folder) }
            #expect(error?.description.contains("accelerators.json:5:") == true, "\(error?.description ?? "")")
        }
    }

    @Test(
        "a malformed price names its line",
        arguments: [
            ("1.25", "cheap", "usd_per_hour"), ("on-demand", "on-demnd", "on-demand"),
            ("my.server", "my.sever", "my.server"),
            ("2026-11-20", "yesterday", "no date"), ("instance", "planet", "per is"), ("bill", "bil", "bill"),
            (",any,", ",", "cells"), ("comma\"", "comma", "quote"), ("1.25", "-1", "usd_per_hour"),
            ("1.25", "1e300", "sensible"),
        ]
    )
    func malformedPrices(old: String, new: String, expected: String) throws {
        let files = [
            "accelerators.json": Self.chip, "instances.json": Self.server, "sources.json": Self.sources,
            "prices.csv": Self.prices.split(separator: "\n").map {
                $0.hasPrefix("my") ? String($0).replacing(old, with: new) : String($0)
            }.joined(separator: "\n"),
        ]
        try withFolder(files) { folder in
            let error = catalogError { _ = try Catalog(directory: folder) }
            #expect(error?.description.contains("prices.csv:3:") == true, "\(error?.description ?? "no error")")
            #expect(error?.description.contains(expected) == true, "\(error?.description ?? "no error")")
        }
    }

    @Test("a reference to nothing is an error")
    func dangling() throws {
        try withFolder(["instances.json": Self.server]) { folder in
            let error = catalogError { _ = try Catalog(directory: folder) }
            #expect(error?.description.contains("my.server") == true)
            #expect(error?.description.contains("mychip") == true)
        }
        let farAway = Self.prices.replacing(",any,", with: ",atlantis,")
        try withFolder([
            "accelerators.json": Self.chip, "instances.json": Self.server, "prices.csv": farAway,
            "sources.json": Self.sources,
        ]) { folder in
            let error = catalogError { _ = try Catalog(directory: folder) }
            #expect(error?.description.contains("atlantis") == true)
        }
    }

    @Test("no folder, an empty one and a file of another name are errors")
    func folders() throws {
        #expect(catalogError { _ = try Catalog(directory: "/nowhere/at/all") }?.kind == .unreadable)
        try withFolder([:]) { folder in
            #expect(catalogError { _ = try Catalog(directory: folder) }?.kind == .unreadable)
        }
        try withFolder(["acelerators.json": "[]"]) { folder in
            #expect(
                catalogError { _ = try Catalog(directory: folder) }?.description.contains("accelerators.json") == true)
        }
    }

    @Test("no damage to a file does worse than an error")
    func damage() {
        let seed: UInt64 = 7
        var numbers = SeededNumbers(state: seed)
        let originals = [
            ("accelerators.json", Self.chip), ("instances.json", Self.server), ("prices.csv", Self.prices),
            ("sources.json", Self.sources),
        ]
        let alphabet = Array("\"{}[],:0123456789eE.-+truefalsn \n\\u".utf8) + [0, 0xFF, 0xC3]
        for round in 0..<3_000 {
            var files = originals.map { CatalogFile(name: $0.0, path: $0.0, bytes: Array($0.1.utf8)) }
            let victim = Int.random(in: 0..<files.count, using: &numbers)
            for _ in 0..<Int.random(in: 1...4, using: &numbers) {
                let place = Int.random(in: 0..<files[victim].bytes.count, using: &numbers)
                switch Int.random(in: 0..<3, using: &numbers) {
                case 0: files[victim].bytes[place] = alphabet.randomElement(using: &numbers)!
                case 1: files[victim].bytes.remove(at: place)
                default: files[victim].bytes.insert(alphabet.randomElement(using: &numbers)!, at: place)
                }
            }
            do {
                _ = try Catalog(files: files, over: .builtIn)
            } catch {
                #expect(!error.description.isEmpty, "seed \(seed), round \(round)")
            }
        }
    }

    @Test("what the catalogue writes it reads back the same")
    func roundTrip() throws {
        let builtIn = Catalog.builtIn
        let encoder = JSONEncoder()
        let files = [
            ("accelerators.json", try encoder.encode(builtIn.accelerators)),
            ("instances.json", try encoder.encode(builtIn.instances)),
            ("regions.json", try encoder.encode(builtIn.regions)), ("facts.json", try encoder.encode(builtIn.facts)),
        ].map { CatalogFile(name: $0.0, path: $0.0, bytes: Array($0.1)) }
        let again = try Catalog(files: files)
        #expect(again.accelerators == builtIn.accelerators)
        #expect(again.instances == builtIn.instances)
        #expect(again.regions == builtIn.regions)
        #expect(again.facts == builtIn.facts)
    }
}
