import Foundation
import Testing

@testable import Catalog

@Suite("Catalogue as text")
struct CatalogTextTests {
    let catalog = Catalog.builtIn

    @Test("quantities take the prefix of their unit")
    func quantities() {
        #expect(CatalogText.quantity(96 * 1_073_741_824, "bytes") == "96 GiB")
        #expect(CatalogText.quantity(2.9e12, "bytes/s") == "2.9 TB/s")
        #expect(CatalogText.quantity(667e12, "FLOP/s") == "667 TFLOP/s")
        #expect(CatalogText.quantity(2.517e15, "FLOP/s") == "2.517 PFLOP/s")
        #expect(CatalogText.quantity(65e-6, "s") == "65 us")
        #expect(CatalogText.quantity(0.108, "s") == "108 ms")
        #expect(CatalogText.quantity(4020, "s") == "4020 s")
        #expect(CatalogText.quantity(0.3, "1") == "0.3")
        #expect(CatalogText.quantity(0, "W") == "0 W")
        #expect(CatalogText.dollars(35_760_800) == "35.7608")
        #expect(CatalogText.dollars(6_880_000) == "6.88")
        #expect(CatalogText.dollars(134_000) == "0.134")
    }

    @Test("a chip is shown with the grades and the other values of its figures")
    func chip() throws {
        let items = try catalog.items(named: "Trn3")
        #expect(items.map(\.id) == ["trainium3"])
        let text = catalog.text(of: items[0])
        #expect(text.contains("4.9 TB/s  published [1]"))
        #expect(text.contains("or 4.7 TB/s"))
        #expect(text.contains("or 1000 W"))
        #expect(text.contains("  assumed ["))
        #expect(text.contains("  [1] AWS Neuron SDK documentation"))
    }

    @Test("everything can be shown, and each source of a figure with it")
    func everything() {
        for item in catalog.items {
            let text = catalog.text(of: item)
            #expect(text.contains(item.id))
            #expect(!text.contains(" nan ") && !text.contains(" inf "))
            if case .accelerator(let entry) = item, let figure = entry.memoryBytes {
                #expect(text.contains(figure.source))
            }
        }
        for model in catalog.models { #expect(catalog.listing.contains(model.id)) }
    }

    @Test("an instance is shown with its prices")
    func prices() throws {
        let text = catalog.text(of: try #require(try catalog.items(named: "trn2.48xlarge").first))
        #expect(text.contains("$35.7608 an hour"))
        #expect(text.contains("capacity-block, us-east-2, from 2026-10-03"))
    }

    @Test("a name of nothing names the nearest of any kind")
    func unknown() {
        let error = #expect(throws: CatalogError.self) { try catalog.items(named: "trn2.48xlarg") }
        #expect(error?.description.contains("trn2.48xlarge") == true)
        #expect(throws: CatalogError.self) { try catalog.items(named: "/nowhere/config.json") }
    }

    @Test("everything can be written as JSON")
    func json() throws {
        let data = try JSONEncoder().encode(catalog.items)
        let read = try #require(try JSONSerialization.jsonObject(with: data) as? [[String: Any]])
        #expect(read.count == catalog.items.count)
        let model = try #require(read.first { ($0["entry"] as? [String: Any])?["id"] as? String == "deepseek-v3" })
        let entry = try #require(model["entry"] as? [String: Any])
        #expect(entry["parameters"] as? Int == 671_026_404_352)
        #expect((entry["layers"] as? [Any])?.count == 2)
    }
}
